%% Takes what the agent pushes, in order, and keeps the clock.
%%
%% Images are filled aside and take effect in one step; a change takes effect row by row, and then its serial.
-module(clearinghouse_server).
-behaviour(gen_server).

-export([start_link/0, push/2, status/1, watch/1, component/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-include("xmpp.hrl").
-include("logger.hrl").
-include("clearinghouse.hrl").

-define(TICK_MS, 250).            % how late an end may be noticed; streams must fall within 2 s
-define(MAX_CHANGES, 10000).      % changes in a log before it is written anew: what a start has to read
-define(SPARE_MS, 5000).          % readers that began with an old table are long done

start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% Both only on behalf of the agent; the caller has seen to that.
push(IQ, Json) -> gen_server:cast(?MODULE, {push, IQ, Json}).

status(IQ) -> gen_server:cast(?MODULE, {status, IQ}).

%% Forget the streams of this process when it ends.
watch(Pid) -> gen_server:cast(?MODULE, {watch, Pid}).

%% The agent's session came up: say what we have.
component(Domain) -> gen_server:cast(?MODULE, {component, Domain}).

init([]) ->
    process_flag(trap_exit, true),
    [ets:new(Name, [named_table, protected, {read_concurrency, true}]) || Name <- [?IMAGES, ?HOSTS]],
    ets:new(?STREAMS, [named_table, public, bag, {keypos, #stream.pid}]),
    ets:new(?REFUSERS, [named_table, public]),
    ets:new(?SEEN, [named_table, public, {write_concurrency, true}]),
    State = lists:foldl(fun restored/2, #{filling => #{}, logs => #{}, changes => #{}}, clearinghouse_log:names()),
    clearinghouse_streams:adopt(),
    tell_agent(),
    erlang:send_after(?TICK_MS, self(), tick),
    {ok, State}.

handle_call(_, _, State) -> {reply, ok, State}.

handle_cast({push, IQ, Json}, State) ->
    {Answer, Next} = pushed(Json, State),
    ejabberd_router:route(answer(IQ, Answer)),
    {noreply, Next};
handle_cast({status, IQ}, State) ->
    Json = jiffy:encode(clearinghouse_status:report()),
    ejabberd_router:route(xmpp:make_iq_result(IQ, clearinghouse_stanza:element(<<"status">>, [], Json))),
    {noreply, State};
handle_cast({watch, Pid}, State) ->
    monitor(process, Pid),
    {noreply, State};
handle_cast({component, Domain}, State) ->
    clearinghouse_image:is_agent(clearinghouse_stanza:ascii(Domain)) andalso tell_agent(),
    {noreply, State}.

handle_info({'DOWN', _, process, Pid, _}, State) ->
    ets:delete(?STREAMS, Pid),
    {noreply, State};
handle_info({spare, Table}, State) ->
    ets:delete(Table),
    {noreply, State};
handle_info(tick, State) ->
    erlang:send_after(?TICK_MS, self(), tick),
    {noreply, lists:foldl(fun swept/2, State, ets:tab2list(?IMAGES))};
handle_info({settle, File}, State) ->
    clearinghouse_log:settle(File),
    {noreply, State};
handle_info(_, State) ->
    {noreply, State}.

terminate(_, #{logs := Logs}) -> [clearinghouse_log:close(File) || File <- maps:values(Logs)].

%% ---------------------------------------------------------------- answers

answer(IQ, {applied, Name, Serial}) ->
    xmpp:make_iq_result(IQ, applied(Name, Serial));
answer(IQ, {conflict, Name, Serial}) ->
    Error = xmpp:make_error(IQ, xmpp:err_conflict(<<"this is not what comes next">>, <<"en">>)),
    xmpp:set_els(Error, [applied(Name, Serial) | xmpp:get_els(Error)]);
answer(IQ, done) ->
    xmpp:make_iq_result(IQ);
answer(IQ, {malformed, Why}) ->
    xmpp:make_error(IQ, xmpp:err_bad_request(Why, <<"en">>)).

applied(Name, Serial) ->
    clearinghouse_stanza:element(<<"applied">>, [{<<"image">>, Name}, {<<"serial">>, integer_to_binary(Serial)}], none).

tell_agent() ->
    [{_, Agent}] = ets:lookup(?SETTINGS, agent),
    case ejabberd_router:is_my_route(Agent) of
        true ->
            Serials = maps:from_list([{Name, Serial} || {Name, #image{serial = Serial}} <- ets:tab2list(?IMAGES)]),
            Event = #{event => started, images => Serials},
            ejabberd_router:route(clearinghouse_stanza:event(ejabberd_config:get_myname(), Agent, Event));
        false ->
            ok
    end.

%% ---------------------------------------------------------------- pushes

%% What cannot be read changes nothing.
pushed(Json, State) ->
    try done(jiffy:decode(Json, [return_maps]), State)
    catch
        _:Why ->
            ?WARNING_MSG("A push could not be applied: ~p", [Why]),
            {{malformed, <<"this push cannot be read">>}, State}
    end.

done(#{<<"do">> := <<"release">>, <<"held">> := Id}, State) when is_binary(Id) ->
    clearinghouse_held:release(Id),
    {done, State};
done(#{<<"do">> := <<"refuse">>, <<"held">> := Id, <<"reason">> := Reason}, State) when is_binary(Id), is_binary(Reason) ->
    clearinghouse_held:refuse(Id, Reason),
    {done, State};
done(#{<<"do">> := <<"begin">>, <<"image">> := Name} = Push, #{filling := Filling} = State) ->
    Image = begun(Push),
    forgotten(maps:get(Name, Filling, none)),
    Log = clearinghouse_log:create(Name),
    clearinghouse_log:write(Log, Push),
    {{applied, Name, Image#image.serial}, State#{filling := Filling#{Name => {Image, Log}}}};
done(#{<<"do">> := <<"change">>, <<"image">> := Name, <<"serial">> := Serial, <<"after">> := After} = Push, State) ->
    case ets:lookup(?IMAGES, Name) of
        [{_, #image{serial = After} = Image}] when is_integer(Serial), Serial > After ->
            changed(Image, Push),
            clearinghouse_streams:cut(),
            {{applied, Name, Serial}, logged(Name, Push, State)};
        Found ->
            {conflict(Name, Found), State}
    end;
done(#{<<"image">> := Name, <<"serial">> := Serial} = Push, #{filling := Filling} = State) ->
    case Filling of
        #{Name := {#image{serial = Serial} = Image, Log}} ->
            filled(Image, Push),
            clearinghouse_log:write(Log, Push),
            {{applied, Name, Serial}, committed(Push, Image, Log, State)};
        _ ->
            {conflict(Name, ets:lookup(?IMAGES, Name)), State}
    end.

conflict(Name, [{_, #image{serial = Serial}}]) -> {conflict, Name, Serial};
conflict(Name, []) -> {conflict, Name, 0}.

%% An image that was begun and never finished.
forgotten(none) -> ok;
forgotten({Image, Log}) ->
    [ets:delete(Table) || Table <- [Image#image.rows, Image#image.grants]],
    clearinghouse_log:close(Log).

begun(#{<<"image">> := Name, <<"serial">> := Serial, <<"mode">> := Mode, <<"default">> := Default, <<"expires">> := Expires,
        <<"hosts">> := Hosts, <<"classes">> := Classes} = Push) when is_binary(Name), is_integer(Serial), is_integer(Expires) ->
    #image{name = Name, serial = Serial, expires = Expires,
           mode = maps:get(Mode, #{<<"enforce">> => enforce, <<"shadow">> => shadow}),
           default = maps:get(Default, #{<<"deny">> => deny, <<"allow">> => allow}),
           default_reason = maps:get(<<"default_reason">>, Push, <<>>),
           decision = maps:get(<<"decision">>, Push, <<>>),
           ask = maps:get(<<"ask">>, Push, false),
           hosts = [clearinghouse_stanza:ascii(Host) || Host <- Hosts],
           classes = maps:map(fun(_, #{<<"mask">> := Mask} = Class) when is_integer(Mask) ->
                                  {Mask, maps:get(<<"reason">>, Class, <<>>)}
                              end, Classes),
           rows = ets:new(rows, [protected, {read_concurrency, true}]),
           grants = ets:new(grants, [protected, bag, {read_concurrency, true}])}.

filled(#image{rows = Rows, classes = Classes}, #{<<"do">> := <<"rows">>, <<"class">> := Class, <<"domains">> := Domains}) ->
    true = is_map_key(Class, Classes),
    ets:insert(Rows, [{clearinghouse_stanza:ascii(Domain), Class} || Domain <- Domains]);
filled(#image{grants = Grants}, #{<<"do">> := <<"grants">>, <<"grants">> := Pushed}) ->
    ets:insert(Grants, [clearinghouse_image:grant(Grant) || Grant <- Pushed]);
filled(_, #{<<"do">> := <<"commit">>}) ->
    true.

%% The new image takes the place of the old one, and what it does not allow ends.
committed(#{<<"do">> := <<"commit">>}, #image{name = Name} = Image, Log, #{filling := Filling, logs := Logs, changes := Changes} = State) ->
    clearinghouse_log:publish(Log, Name),
    clearinghouse_log:close(maps:get(Name, Logs, undefined)),
    in_force(Image),
    clearinghouse_streams:cut(),
    State#{filling := maps:remove(Name, Filling), logs := Logs#{Name => Log}, changes := Changes#{Name => 0}};
committed(_, _, _, State) ->
    State.

in_force(#image{name = Name, hosts = Hosts} = Image) ->
    Old = ets:lookup(?IMAGES, Name),
    ets:insert(?IMAGES, {Name, Image}),
    ets:insert(?HOSTS, [{Host, Name} || Host <- Hosts]),
    [ets:match_delete(?HOSTS, {Host, Name}) || {_, #image{hosts = Were}} <- Old, Host <- Were, not lists:member(Host, Hosts)],
    [erlang:send_after(?SPARE_MS, self(), {spare, Table}) || {_, I} <- Old, Table <- [I#image.rows, I#image.grants]].

changed(#image{name = Name, rows = Rows, grants = Grants, classes = Classes} = Image, #{<<"serial">> := Serial} = Push) ->
    Set = [{clearinghouse_stanza:ascii(Domain), Class}
           || {Class, Domains} <- maps:to_list(maps:get(<<"set">>, Push, #{})), is_map_key(Class, Classes) orelse error(Class), Domain <- Domains],
    Unset = [clearinghouse_stanza:ascii(Domain) || Domain <- maps:get(<<"unset">>, Push, [])],
    New = [clearinghouse_image:grant(Grant) || Grant <- maps:get(<<"grants">>, Push, [])],
    Next = Image#image{serial = Serial, expires = maps:get(<<"expires">>, Push, Image#image.expires),
                       decision = maps:get(<<"decision">>, Push, Image#image.decision)},
    Ended = maps:get(<<"ended">>, Push, []) ++ [Id || {_, Id, _} <- New],
    [ets:match_delete(Grants, {'_', Id, '_'}) || Id <- Ended],
    ets:insert(Grants, New),
    ets:insert(Rows, Set),
    [ets:delete(Rows, Domain) || Domain <- Unset],
    ets:insert(?IMAGES, {Name, Next}).

logged(Name, Push, #{logs := Logs, changes := Changes} = State) ->
    Log = maps:get(Name, Logs),
    clearinghouse_log:write(Log, Push),
    self() ! {settle, Log},
    case maps:get(Name, Changes) + 1 of
        Many when Many >= ?MAX_CHANGES -> rewritten(Name, State);
        Some -> State#{changes := Changes#{Name => Some}}
    end.

%% The log of an image as if it had just been pushed.
rewritten(Name, #{logs := Logs, changes := Changes} = State) ->
    [{_, Image}] = ets:lookup(?IMAGES, Name),
    Log = clearinghouse_log:create(Name),
    clearinghouse_log:write(Log, {image, Image, ets:tab2list(Image#image.rows), ets:tab2list(Image#image.grants)}),
    clearinghouse_log:publish(Log, Name),
    clearinghouse_log:close(maps:get(Name, Logs)),
    State#{logs := Logs#{Name => Log}, changes := Changes#{Name => 0}}.

%% ---------------------------------------------------------------- the clock

%% What has ended is over for good, also if the clock goes back, and also after a restart.
swept({Name, #image{grants = Grants, expires = Expires} = Image}, State) ->
    Now = os:system_time(second),
    Ended = [Entry || {_, _, #grant{until = Until}} = Entry <- ets:tab2list(Grants), Until =< Now],
    case Ended =/= [] orelse (Expires > 1 andalso Expires =< Now) of
        true ->
            ended(Image, Now),
            clearinghouse_streams:cut(),
            logged(Name, {ended, Now, Name}, State);
        false ->
            State
    end.

ended(#image{name = Name, grants = Grants, expires = Expires} = Image, Now) ->
    [ets:delete_object(Grants, Entry) || {_, _, #grant{until = Until}} = Entry <- ets:tab2list(Grants), Until =< Now],
    Expires > 1 andalso Expires =< Now andalso ets:insert(?IMAGES, {Name, Image#image{expires = 1}}).

%% ---------------------------------------------------------------- a start

restored(Name, #{logs := Logs, changes := Changes} = State) ->
    try
        {Pushes, Log} = clearinghouse_log:read(Name),
        Filled = lists:foldl(fun replayed/2, none, Pushes),
        case Filled of
            done -> State#{logs := Logs#{Name => Log}, changes := Changes#{Name => length(Pushes)}};
            _ -> clearinghouse_log:close(Log), State
        end
    catch
        _:Why ->
            ?ERROR_MSG("The image ~ts could not be read, and its hosts are closed: ~p", [Name, Why]),
            State
    end.

replayed(#{<<"do">> := <<"begin">>} = Push, _) -> begun(Push);
replayed(#{<<"do">> := <<"commit">>}, Image) -> in_force(Image), done;
replayed(#{<<"do">> := <<"change">>, <<"image">> := Name} = Push, done) -> changed(current(Name), Push), done;
replayed({ended, Now, Name}, done) -> ended(current(Name), Now), done;
replayed({image, Image, Rows, Grants}, _) ->
    New = Image#image{rows = ets:new(rows, [protected, {read_concurrency, true}]),
                      grants = ets:new(grants, [protected, bag, {read_concurrency, true}])},
    ets:insert(New#image.rows, Rows),
    ets:insert(New#image.grants, Grants),
    in_force(New),
    done;
replayed(Push, Image) ->
    filled(Image, Push),
    Image.

current(Name) ->
    [{_, Image}] = ets:lookup(?IMAGES, Name),
    Image.
