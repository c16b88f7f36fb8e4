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
-define(MAX_ROWS, 200000).        % domains in an image: 30 MB
-define(MAX_GRANTS, 10000).       % each of which is looked at when time passes
-define(SPARE_MS, 5000).          % readers that began with an old table are long done

start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% Both only on behalf of the agent; the caller has seen to that.
push(IQ, Json) -> gen_server:cast(?MODULE, {push, IQ, Json}).

status(IQ) -> gen_server:cast(?MODULE, {status, IQ}).

%% Forget the streams and refusals of this process when it ends.
watch(Pid) -> gen_server:cast(?MODULE, {watch, Pid}).

%% The agent's session came up: say what we have.
component(Domain) -> gen_server:cast(?MODULE, {component, Domain}).

init([]) ->
    [ets:new(Name, [named_table, protected, {read_concurrency, true}]) || Name <- [?IMAGES, ?HOSTS]],
    ets:new(?STREAMS, [named_table, public, bag, {keypos, #stream.pid}]),
    ets:new(?REFUSERS, [named_table, public]),
    ets:new(?SEEN, [named_table, public, {write_concurrency, true}]),
    clearinghouse_peers:restore(),
    State = lists:foldl(fun restored/2, #{filling => #{}, logs => #{}, changes => #{}, peers => #{}}, clearinghouse_log:names()),
    clearinghouse_streams:adopt(),
    tell_agent(),
    erlang:send_after(?TICK_MS, self(), tick),
    {ok, State}.

handle_call(_, _, State) -> {reply, ok, State}.

handle_cast({push, IQ, Json}, State) ->
    {Answer, Next} = pushed(Json, State),
    ejabberd_router:route(answer(IQ, Answer)),
    {noreply, Next};
handle_cast({status, IQ}, #{logs := Logs} = State) ->
    Json = jiffy:encode(clearinghouse_status:report(Logs)),
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
    ets:match_delete(?REFUSERS, {'_', Pid, '_'}),
    {noreply, State};
handle_info({spare, Image}, State) ->
    clearinghouse_push:dropped(Image),
    {noreply, State};
handle_info(tick, State) ->
    erlang:send_after(?TICK_MS, self(), tick),
    {noreply, lists:foldl(fun swept/2, State, ets:tab2list(?IMAGES))};
handle_info({settle, File}, State) ->
    clearinghouse_log:settle(File),
    {noreply, State};
handle_info(_, State) ->
    {noreply, State}.

terminate(_, #{logs := Logs}) -> [clearinghouse_log:close(Log) || Log <- maps:values(Logs)].

%% ---------------------------------------------------------------- answers

answer(IQ, {applied, Name, Serial}) ->
    xmpp:make_iq_result(IQ, applied(Name, Serial));
answer(IQ, {conflict, Name, Serial}) ->
    Error = xmpp:make_error(IQ, xmpp:err_conflict(<<"this is not what comes next">>, <<"en">>)),
    xmpp:set_els(Error, [applied(Name, Serial) | xmpp:get_els(Error)]);
answer(IQ, done) ->
    xmpp:make_iq_result(IQ);
answer(IQ, gone) ->
    xmpp:make_error(IQ, xmpp:err_item_not_found(<<"nothing is held under this id">>, <<"en">>));
answer(IQ, full) ->
    xmpp:make_error(IQ, xmpp:err_resource_constraint(<<"too many rows or grants">>, <<"en">>));
answer(IQ, malformed) ->
    xmpp:make_error(IQ, xmpp:err_bad_request(<<"this is no push">>, <<"en">>)).

applied(Name, Serial) ->
    clearinghouse_stanza:element(<<"applied">>, [{<<"image">>, Name}, {<<"serial">>, integer_to_binary(Serial)}], none).

tell_agent() ->
    Agent = clearinghouse_image:setting(agent),
    case ejabberd_router:is_my_route(Agent) of
        true ->
            Serials = maps:from_list([{Name, Serial} || {Name, #image{serial = Serial}} <- ets:tab2list(?IMAGES)]),
            Event = #{event => started, images => Serials},
            [ejabberd_router:route(clearinghouse_stanza:event(Host, Agent, Event)) || Host <- ejabberd_option:hosts()];
        false ->
            ok
    end.

%% ---------------------------------------------------------------- pushes

%% What cannot be read changes nothing.
pushed(Json, State) ->
    try done(jiffy:decode(Json, [return_maps]), State)
    catch
        throw:full ->
            {full, State};
        _:Why ->
            ?WARNING_MSG("A push could not be applied: ~p", [Why]),
            {malformed, State}
    end.

done(#{<<"do">> := <<"release">>, <<"held">> := Id}, State) when is_binary(Id) ->
    {settled(clearinghouse_held:release(Id)), State};
done(#{<<"do">> := <<"refuse">>, <<"held">> := Id, <<"reason">> := Reason}, State) when is_binary(Id), is_binary(Reason) ->
    {settled(clearinghouse_held:refuse(Id, Reason)), State};
done(#{<<"do">> := <<"begin">>, <<"image">> := Name} = Push, State) ->
    #image{serial = Serial} = Image = clearinghouse_push:begun(Push),
    case ets:lookup(?IMAGES, Name) of
        [{_, #image{serial = Had}}] = Found when Had >= Serial -> clearinghouse_push:dropped(Image), {conflict(Name, Found), State};
        Found ->
            case is_taken(Image) of
                true -> clearinghouse_push:dropped(Image), {conflict(Name, Found), State};
                false -> {{applied, Name, Serial}, filling(Image, Push, State)}
            end
    end;
done(#{<<"do">> := <<"change">>, <<"image">> := Name, <<"serial">> := Serial, <<"after">> := After} = Push, State) ->
    case ets:lookup(?IMAGES, Name) of
        [{_, #image{serial = After} = Image}] when is_integer(Serial), Serial > After ->
            {Next, Touched} = clearinghouse_push:changed(within(Image, length(maps:get(<<"grants">>, Push, []))), Push),
            ets:insert(?IMAGES, {Name, Next}),
            clearinghouse_streams:cut(Touched),
            {{applied, Name, Serial}, logged(Name, Push, State)};
        Found ->
            {conflict(Name, Found), State}
    end;
done(#{<<"do">> := <<"peers">>} = Push, #{peers := Unfinished} = State) ->
    {Answer, Left} = clearinghouse_peers:pushed(Push, Unfinished),
    {Answer, State#{peers := Left}};
done(#{<<"do">> := Do, <<"image">> := Name, <<"serial">> := Serial} = Push, #{filling := Filling} = State) ->
    case Filling of
        #{Name := {#image{serial = Serial} = Image, Log}} ->
            clearinghouse_push:filled(within(Image, 0), Push),
            Next = State#{filling := Filling#{Name := {Image, clearinghouse_log:write(Log, Name, Push)}}},
            {{applied, Name, Serial}, case Do of <<"commit">> -> committed(Name, Next); _ -> Next end};
        _ ->
            {conflict(Name, ets:lookup(?IMAGES, Name)), State}
    end.

settled(true) -> done;
settled(false) -> gone.

%% Another image governs one of these hosts.
is_taken(#image{name = Name, hosts = Hosts}) ->
    lists:any(fun(Host) -> case ets:lookup(?HOSTS, Host) of [{_, Other}] -> Other =/= Name; [] -> false end end, Hosts).

within(#image{rows = Rows, grants = Grants} = Image, More) ->
    (ets:info(Rows, size) > ?MAX_ROWS orelse ets:info(Grants, size) + More > ?MAX_GRANTS) andalso throw(full),
    Image.

conflict(Name, [{_, #image{serial = Serial}}]) -> {conflict, Name, Serial};
conflict(Name, []) -> {conflict, Name, 0}.

%% One that was begun before and never finished is forgotten.
filling(#image{name = Name} = Image, Push, #{filling := Filling} = State) ->
    case Filling of
        #{Name := {Old, OldLog}} -> clearinghouse_push:dropped(Old), clearinghouse_log:close(OldLog);
        _ -> ok
    end,
    Log = clearinghouse_log:write(clearinghouse_log:create(Name), Name, Push),
    State#{filling := Filling#{Name => {Image, Log}}}.

%% The new image takes the place of the old one, and what it does not allow ends.
committed(Name, #{filling := Filling} = State) ->
    {{Image, Log}, Left} = maps:take(Name, Filling),
    in_force(Image),
    clearinghouse_streams:cut(all),
    ?INFO_MSG("The image ~ts is in force: serial ~p, ~p rows, ~p",
              [Name, Image#image.serial, ets:info(Image#image.rows, size), Image#image.mode]),
    published(Name, Log, State#{filling := Left}).

published(Name, Log, #{logs := Logs, changes := Changes} = State) ->
    clearinghouse_log:close(maps:get(Name, Logs, none)),
    State#{logs := Logs#{Name => clearinghouse_log:publish(Log, Name)}, changes := Changes#{Name => 0}}.

in_force(#image{name = Name, hosts = Hosts} = Image) ->
    Old = ets:lookup(?IMAGES, Name),
    ets:insert(?IMAGES, {Name, Image}),
    ets:insert(?HOSTS, [{Host, Name} || Host <- Hosts]),
    [ets:match_delete(?HOSTS, {Host, Name}) || {_, #image{hosts = Were}} <- Old, Host <- Were, not lists:member(Host, Hosts)],
    [erlang:send_after(?SPARE_MS, self(), {spare, I}) || {_, I} <- Old].

%% What changed is in force already; now it is kept.
logged(Name, Push, #{logs := Logs, changes := Changes} = State) ->
    Log = clearinghouse_log:write(maps:get(Name, Logs), Name, Push),
    Next = State#{logs := Logs#{Name := Log}, changes := maps:update_with(Name, fun(N) -> N + 1 end, Changes)},
    case Log =:= none orelse maps:get(Name, Changes) >= ?MAX_CHANGES of
        true -> rewritten(Name, Next);
        false -> self() ! {settle, Log}, Next
    end.

%% The log of an image as if it had just been pushed.
rewritten(Name, State) ->
    [{_, Image}] = ets:lookup(?IMAGES, Name),
    Whole = {image, Image, ets:tab2list(Image#image.rows), ets:tab2list(Image#image.grants)},
    published(Name, clearinghouse_log:write(clearinghouse_log:create(Name), Name, Whole), State).

%% ---------------------------------------------------------------- the clock

%% What has ended is over for good, also if the clock goes back, and also after a restart.
swept({Name, #image{grants = Grants, expires = Expires} = Image}, State) ->
    Now = os:system_time(second),
    case clearinghouse_push:over(Grants, Now) =/= [] orelse (Expires > 1 andalso Expires =< Now) of
        true ->
            ets:insert(?IMAGES, {Name, clearinghouse_push:ended(Image, Now)}),
            clearinghouse_streams:cut(all),
            logged(Name, {ended, Now, Name}, State);
        false ->
            State
    end.

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

replayed(#{<<"do">> := <<"begin">>} = Push, _) -> clearinghouse_push:begun(Push);
replayed(#{<<"do">> := <<"commit">>}, Image) -> in_force(Image), done;
replayed(#{<<"do">> := <<"change">>, <<"image">> := Name} = Push, done) ->
    {Next, _} = clearinghouse_push:changed(current(Name), Push),
    ets:insert(?IMAGES, {Name, Next}),
    done;
replayed({ended, Now, Name}, done) ->
    ets:insert(?IMAGES, {Name, clearinghouse_push:ended(current(Name), Now)}),
    done;
replayed({image, Image, Rows, Grants}, _) -> in_force(clearinghouse_push:again(Image, Rows, Grants)), done;
replayed(Push, Image) -> clearinghouse_push:filled(Image, Push), Image.

current(Name) ->
    [{_, Image}] = ets:lookup(?IMAGES, Name),
    Image.
