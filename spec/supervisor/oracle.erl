%% Plays trees by Erlang's supervisor. Reads a file of terms, {Tree, Actions} each, where
%%   Tree    {sup, Name, Strategy, [{Restart, Tree | {leaf, Name}}]}
%%   Action  {crash | return, Name}
%% and prints what happens, a line each: "start NAME" or "end NAME", then "--" after the start of
%% the tree and after each action, and "==" after the tree has been shut down.
-module(oracle).
-behaviour(supervisor).
-export([main/1, init/1, start_leaf/1, start_sup/1]).

init({Strategy, Children}) ->
    {ok, {#{strategy => Strategy, intensity => 1000000000, period => 1},
          [child(Restart, Node) || {Restart, Node} <- Children]}}.

child(Restart, {leaf, Name}) ->
    #{id => Name, restart => Restart, shutdown => 5000, start => {?MODULE, start_leaf, [Name]}};
child(Restart, {sup, Name, Strategy, Children}) ->
    #{id => Name, restart => Restart, type => supervisor,
      start => {?MODULE, start_sup, [{Strategy, Children}]}}.

start_sup(Arguments) -> supervisor:start_link(?MODULE, Arguments).

note(What, Name) ->
    notes ! {note, self(), What, Name},
    receive noted -> ok end.

start_leaf(Name) ->
    Self = self(),
    Pid = spawn_link(fun() ->
        process_flag(trap_exit, true),
        note("start", Name),
        register(Name, self()),
        Self ! {self(), started},
        receive
            crash -> note("end", Name), exit(crash);
            return -> note("end", Name);
            {'EXIT', _, Reason} -> note("end", Name), exit(Reason)
        end
    end),
    receive {Pid, started} -> {ok, Pid} end.

notes() ->
    receive {note, From, What, Name} ->
        io:format("~s ~s~n", [What, Name]),
        From ! noted,
        notes()
    end.

%% All supervisors have done what they had to when each has answered, and none has a restart to do.
settle(Sup) ->
    [settle(Pid) || {_, Pid, supervisor, _} <- supervisor:which_children(Sup), is_pid(Pid)],
    _ = supervisor:which_children(Sup),
    ok.

act(Sup, {What, Name}) ->
    case whereis(Name) of
        undefined -> ok;
        Pid ->
            Reference = monitor(process, Pid),
            Pid ! What,
            receive {'DOWN', Reference, _, _, _} -> ok end
    end,
    settle(Sup),
    settle(Sup),
    io:format("--~n").

play({{sup, _, Strategy, Children}, Actions}) ->
    {ok, Sup} = start_sup({Strategy, Children}),
    io:format("--~n"),
    [act(Sup, Action) || Action <- Actions],
    unlink(Sup),
    Reference = monitor(process, Sup),
    exit(Sup, shutdown),
    receive {'DOWN', Reference, _, _, _} -> ok end,
    io:format("==~n").

main([File]) ->
    logger:set_primary_config(level, none),
    process_flag(trap_exit, true),
    register(notes, spawn(fun notes/0)),
    {ok, Plays} = file:consult(File),
    [play(Play) || Play <- Plays],
    halt(0).
