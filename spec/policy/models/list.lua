-- The models of policies, each of which is compared with the library by world.play().
return { "retry", "hedge" }
