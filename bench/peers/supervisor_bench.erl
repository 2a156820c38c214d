%% What supervision costs, by Erlang's supervisor: the sides of bench/supervisor.lua.
%%   erlc -o DIR supervisor_bench.erl && erl -noshell -pa DIR -run supervisor_bench main SIDE N
%% Prints two numbers per operation, in nanoseconds: the time that passes, and the CPU time of all
%% threads; for `memory`, bytes per child.
-module(supervisor_bench).
-behaviour(supervisor).
-export([main/1, init/1, waiting/0, crashing/2]).

init({Strategy, Children}) ->
    {ok, {#{strategy => Strategy, intensity => 1000000000, period => 1}, Children}}.

child(Id, Restart, Function, Arguments) ->
    #{id => Id, start => {?MODULE, Function, Arguments}, restart => Restart, shutdown => 5000}.

waiting() -> {ok, spawn_link(fun() -> receive never -> ok end end)}.

%% A process that crashes as often as the counter says, and then tells its owner.
crashing(Owner, Counter) ->
    {ok, spawn_link(fun() ->
        case counters:get(Counter, 1) of
            0 -> Owner ! done, receive never -> ok end;
            _ -> counters:sub(Counter, 1, 1), exit(crash)
        end
    end)}.

measure(N, Work) ->
    erlang:garbage_collect(),
    {Before, _} = statistics(runtime),
    Began = erlang:monotonic_time(nanosecond),
    Work(),
    Passed = erlang:monotonic_time(nanosecond) - Began,
    {After, _} = statistics(runtime),
    io:format("~.1f ~.1f~n", [Passed / N, (After - Before) * 1.0e6 / N]).

crashes(N, Strategy, Others) ->
    Counter = counters:new(1, []),
    counters:put(Counter, 1, N),
    Waiting = [child(I, permanent, waiting, []) || I <- lists:seq(1, Others)],
    {ok, Sup} = supervisor:start_link(?MODULE, {Strategy, Waiting}),
    measure(N, fun() ->
        {ok, _} = supervisor:start_child(Sup, child(crash, permanent, crashing, [self(), Counter])),
        receive done -> ok end
    end).

side("restart", N) -> crashes(N, one_for_one, 0);
side("round", N) -> crashes(N, one_for_all, 9);
side("start", N) ->
    {ok, Sup} = supervisor:start_link(?MODULE, {one_for_one, []}),
    measure(N, fun() ->
        [{ok, _} = supervisor:start_child(Sup, child(I, permanent, waiting, []))
         || I <- lists:seq(1, N)]
    end);
side("close", N) ->
    Children = [child(I, permanent, waiting, []) || I <- lists:seq(1, N)],
    {ok, Sup} = supervisor:start_link(?MODULE, {one_for_one, Children}),
    unlink(Sup),
    Reference = monitor(process, Sup),
    measure(N, fun() ->
        exit(Sup, shutdown),
        receive {'DOWN', Reference, _, _, _} -> ok end
    end);
side("memory", N) ->
    erlang:garbage_collect(),
    Before = erlang:memory(total),
    Children = [child(I, permanent, waiting, []) || I <- lists:seq(1, N)],
    {ok, Sup} = supervisor:start_link(?MODULE, {one_for_one, Children}),
    erlang:garbage_collect(Sup),
    erlang:garbage_collect(),
    io:format("~.1f~n", [(erlang:memory(total) - Before) / N]).

main([Side, N]) ->
    logger:set_primary_config(level, none),
    process_flag(trap_exit, true),
    side(Side, list_to_integer(N)),
    halt(0).
