%% Streams between servers: which there are, which may stand, and how they end.
%%
%% What touches a stream's state runs in the stream's own process.  Its hooks are in mod_clearinghouse.
-module(clearinghouse_streams).

-export([claimed/3, proven/3, connected/1, closed/2, judged_route/2, cut/1, retry/1, refuser/1, adopt/0, list/0]).
-export([cut_in/3, cut_out/3, adopt_in/1, adopt_out/1, reconnect/1]).

-include("xmpp.hrl").
-include("logger.hrl").
-include("clearinghouse.hrl").

-define(MAX_LISTED, 1000).        % streams of each direction in one answer: 300 kB
-define(CUT_MS, 200).             % longer waits only for a stream that cannot write; it ends when it can
-define(MAX_AGAIN, 5).              % connections to a peer that hangs up before it can be read; each takes some 20 ms
-define(REFUSED_MS, 1000).        % after a peer's refusal, before the next stanza makes a new connection

%% ---------------------------------------------------------------- incoming

%% Somebody wants to prove by dialback that it is `Remote`.  Nobody is asked about a domain that is refused anyway.
%% Who is only believed to be it is not told what policy says of it.
claimed(State, Local, Remote) ->
    case stream(Local, Remote, in, maps:get(ip, State, unknown)) of
        {deny, Reason, Decision} -> {refused, not_proven(State, Local, Remote, told(State, Remote, Reason, Decision))};
        _ -> allowed
    end.

told(#{stream_encrypted := true} = State, Remote, Reason, Decision) ->
    case xmpp_stream_pkix:authenticate(State#{remote_server => Remote}) of
        {ok, _} -> Reason;
        {error, _, _} -> unproven(Decision)
    end;
told(_, _, _, Decision) ->
    unproven(Decision).

unproven(Decision) -> clearinghouse_image:reason(<<"not permitted">>, Decision).

%% Other domains that share the stream are not concerned (XEP-0220, section 2.4.2).
not_proven(#{stream_state := established} = State, Local, Remote, Reason) ->
    Error = #stanza_error{type = cancel, reason = 'policy-violation', text = xmpp:mk_text(Reason, <<"en">>)},
    ejabberd_s2s_in:send(State, #db_result{from = Local, to = Remote, type = error, sub_els = [Error]});
not_proven(State, _Local, Remote, Reason) ->
    refuse_in(State, Remote, Reason).

%% The remote domain is proven, by certificate or dialback, and nothing has been granted yet.
proven(#{lserver := Local, ip := Ip} = State, Remote, Auth) ->
    case stream(Local, Remote, in, Ip) of
        {deny, Reason, _} ->
            refuse_in(State, Remote, Reason);
        _ ->
            note(#stream{pid = self(), direction = in, local = Local, remote = Remote, auth = Auth,
                         secure = maps:get(stream_encrypted, State, false), address = clearinghouse_image:address(Ip)}),
            State
    end.

refuse_in(State, Remote, Reason) ->
    ?INFO_MSG("Refusing the stream from ~ts: ~ts", [Remote, Reason]),
    ets:delete(?STREAMS, self()),
    ejabberd_s2s_in:send(State, xmpp:serr_policy_violation(Reason, <<"en">>)).

%% A stream with several domains stands as long as one of them may speak; the others are refused stanza by stanza.
cut_in(State, Caller, Ref) ->
    Next = cut_in(State),
    Caller ! {Ref, cut},
    Next.

cut_in(#{stream_state := disconnected} = State) ->
    State;
cut_in(#{lserver := Local, ip := Ip, auth_domains := Domains} = State) ->
    Verdicts = [{Remote, stream(Local, Remote, in, Ip)} || Remote <- sets:to_list(Domains)],
    case [R || {R, Verdict} <- Verdicts, Verdict =:= allow orelse Verdict =:= address] of
        [] when Verdicts =/= [] ->
            {Remote, {deny, Reason, _}} = hd(Verdicts),
            refuse_in(State, Remote, Reason);
        _ ->
            State
    end;
cut_in(State) ->
    State.

%% ---------------------------------------------------------------- outgoing

%% The peer believes us.  Only now its address is known, and what waits may have been allowed for another one.
connected(#{server := Local, remote_server := Remote, ip := Ip} = State) ->
    Address = clearinghouse_image:address(Ip),
    ets:delete(?REFUSERS, pair(State)),
    #{queue := Left} = Next = sifted(State, Address),
    Empty = p1_queue:is_empty(Left),
    case stream(Local, Remote, out, Address) of
        {deny, Reason, _} when Empty ->
            end_out(Next, Reason);
        _ ->
            Auth = case State of #{stream_authenticated := true} -> <<"external">>; _ -> <<"dialback">> end,
            note(#stream{pid = self(), direction = out, local = Local, remote = Remote, auth = Auth,
                         secure = maps:get(stream_encrypted, State, false), address = Address}),
            Next
    end.

%% Give back what may no longer go.
sifted(#{queue := Queue} = State, Address) ->
    State#{queue => lists:foldl(fun(Pkt, Left) ->
        case verdict(Pkt, Address) of
            {deny, Reason, Decision} -> clearinghouse_held:refused(Pkt, self, Reason, Decision), Left;
            _ -> p1_queue:in(Pkt, Left)
        end
    end, p1_queue:clear(Queue), p1_queue:to_list(Queue))}.

verdict(Pkt, Address) ->
    case xmpp:is_stanza(Pkt) andalso not marked(Pkt) of
        true -> element(2, clearinghouse_image:stanza(out, Pkt, Address));
        false -> allow
    end.

marked(Pkt) -> xmpp:get_meta(Pkt, clearinghouse, none) =:= refusal.

%% A stanza that may go to some addresses only, in the process that knows to which it goes.
judged_route(#{on_route := send, ip := Ip} = State, Pkt) ->
    case verdict(Pkt, clearinghouse_image:address(Ip)) of
        {deny, Reason, Decision} -> clearinghouse_held:refused(Pkt, self, Reason, Decision), State;
        _ -> ejabberd_s2s_out:handle_info({route, Pkt}, State)
    end;
judged_route(State, Pkt) ->
    ejabberd_s2s_out:handle_info({route, Pkt}, State).

%% A stream that never stood has ended for reasons of policy.  ejabberd would return everything that waits as a
%% time-out, and what follows for up to s2s_max_retry_delay without asking again: 5 minutes, if nobody set it.
closed(#{on_route := queue} = State, {stream, {in, #stream_error{reason = 'policy-violation', text = Text}}}) ->
    Said = xmpp:get_text(Text),
    ets:insert(?REFUSERS, {pair(State), self(), Said}),
    clearinghouse_server:watch(self()),
    {stop, xmpp_stream_out:set_timeout(emptied(State#{on_route => bounce}, peer, Said), ?REFUSED_MS)};
closed(#{on_route := queue, clearinghouse_ended := true} = State, {stream, {out, #stream_error{text = Text}}}) ->
    ejabberd_s2s_out:stop_async(self()),
    {stop, emptied(State, self, xmpp:get_text(Text))};
%% A peer that says no and hangs up in one breath, as Prosody does: ejabberd may find the socket gone (`einval`) before it has
%% read why, and would call it a time-out.  Asking again tells.
closed(#{on_route := queue} = State, {socket, einval}) ->
    Times = maps:get(clearinghouse_again, State, 0),
    case Times < ?MAX_AGAIN of
        true ->
            ejabberd_s2s_out:connect(self()),
            Again = maps:remove(stop_reason, State#{clearinghouse_again => Times + 1}),
            {stop, xmpp_stream_out:set_timeout(Again, ejabberd_option:negotiation_timeout())};
        false ->
            State
    end;
closed(State, _) ->
    State.

emptied(#{queue := Queue} = State, By, Said) ->
    [clearinghouse_held:refused(Pkt, By, Said, <<>>) || Pkt <- p1_queue:to_list(Queue), xmpp:is_stanza(Pkt)],
    State#{queue => p1_queue:clear(Queue)}.

%% Has the peer of this pair refused us, and is that what new stanzas would be told?
refuser({Local, Remote} = Pair) ->
    case ets:lookup(?REFUSERS, Pair) of
        [{_, Pid, Said}] ->
            case lists:member(Pid, ejabberd_s2s:get_connections_pids({Local, Remote})) of
                true -> {refused, Said};
                false -> ets:delete(?REFUSERS, Pair), none
            end;
        [] ->
            none
    end.

%% Ask a peer that refused us again, now.
retry(Pair) ->
    ets:delete(?REFUSERS, Pair),
    [ejabberd_s2s_out:update_state(Pid, {?MODULE, reconnect, []}) || Pid <- ejabberd_s2s:get_connections_pids(Pair)],
    ok.

reconnect(#{on_route := bounce} = State) ->
    ejabberd_s2s_out:connect(self()),
    Afresh = clearinghouse_follow:afresh(maps:remove(stop_reason, State#{on_route => queue})),
    xmpp_stream_out:set_timeout(Afresh, ejabberd_option:negotiation_timeout());
reconnect(State) ->
    State.

cut_out(State, Caller, Ref) ->
    Next = cut_out(State),
    Caller ! {Ref, cut},
    Next.

cut_out(#{stream_state := disconnected} = State) ->
    State;
cut_out(#{server := Local, remote_server := Remote} = State) when not is_map_key(db_verify, State) ->
    case stream(Local, Remote, out, maps:get(ip, State, unknown)) of
        {deny, Reason, _} ->
            end_out(State, Reason);
        _ when map_get(on_route, State) =:= queue -> sifted(State, unknown);
        _ -> State
    end;
cut_out(State) ->
    State.

end_out(#{remote_server := Remote} = State, Reason) ->
    ?INFO_MSG("Ending the stream to ~ts: ~ts", [Remote, Reason]),
    ets:delete(?STREAMS, self()),
    ejabberd_s2s_out:send(State#{clearinghouse_ended => true}, xmpp:serr_policy_violation(Reason, <<"en">>)).

pair(#{server := Local, remote_server := Remote}) -> {Local, Remote}.

%% ---------------------------------------------------------------- all

%% End every stream that has lost everything, or those of them with some domains, and wait until they have heard of
%% it, but not for those that are busy.  Whoever calls has just changed what they may.
cut(Domains) ->
    Cuts = [{make_ref(), ejabberd_s2s_in, cut_in, Pid} || Pid <- lost(in, Domains)]
        ++ [{make_ref(), ejabberd_s2s_out, cut_out, Pid} || Pid <- lost(out, Domains)],
    [ejabberd_s2s_out:update_state(Pid, {?MODULE, cut_out, [self(), none]}) || Pid <- under_way(Domains)],
    [Kind:update_state(Pid, {?MODULE, Cut, [self(), Ref]}) || {Ref, Kind, Cut, Pid} <- Cuts],
    wait([Ref || {Ref, _, _, _} <- Cuts], erlang:monotonic_time(millisecond) + ?CUT_MS).

wait([], _) -> ok;
wait([Ref | Refs], Until) ->
    receive {Ref, cut} -> ok
    after max(0, Until - erlang:monotonic_time(millisecond)) -> ok
    end,
    wait(Refs, Until).

lost(Direction, Domains) -> lists:usort([S#stream.pid || S <- entries(Direction), is_among(S#stream.remote, Domains), is_lost(S)]).

%% What has no stream yet waits for one, and is judged again.  Such a process may be busy with connecting.
under_way(Domains) ->
    [Pid || {_, Remote} = Pair <- ejabberd_s2s:dirty_get_connections(), is_among(Remote, Domains),
            Pid <- ejabberd_s2s:get_connections_pids(Pair), not ets:member(?STREAMS, Pid)].

is_among(_, all) -> true;
is_among(Remote, Domains) -> is_map_key(clearinghouse_stanza:ascii(Remote), Domains).

is_lost(#stream{local = Local, remote = Remote, direction = Direction, address = Address}) ->
    case clearinghouse_image:stream(Local, Remote, Direction, Address) of
        {_, {deny, _, _}} -> true;
        _ -> false
    end.

entries(Direction) -> ets:match_object(?STREAMS, #stream{direction = Direction, _ = '_'}).

%% Streams that stood before we came.
adopt() ->
    [ejabberd_s2s_in:update_state(Pid, {?MODULE, adopt_in, []}) || Pid <- children(ejabberd_s2s_in_sup)],
    [ejabberd_s2s_out:update_state(Pid, {?MODULE, adopt_out, []}) || Pid <- children(ejabberd_s2s_out_sup)],
    ok.

children(Sup) -> [Pid || {_, Pid, _, _} <- supervisor:which_children(Sup), is_pid(Pid)].

adopt_in(#{stream_state := established, auth_domains := Domains, lserver := Local, ip := Ip} = State) ->
    [note(#stream{pid = self(), direction = in, local = Local, remote = Remote, auth = <<"unknown">>,
                  secure = maps:get(stream_encrypted, State, false), address = clearinghouse_image:address(Ip)})
     || Remote <- sets:to_list(Domains)],
    cut_in(State);
adopt_in(State) ->
    State.

adopt_out(#{on_route := send, server := Local, remote_server := Remote, ip := Ip} = State) ->
    note(#stream{pid = self(), direction = out, local = Local, remote = Remote, auth = <<"unknown">>,
                 secure = maps:get(stream_encrypted, State, false), address = clearinghouse_image:address(Ip)}),
    cut_out(State);
adopt_out(State) ->
    State.

note(Stream) ->
    ets:insert(?STREAMS, Stream),
    clearinghouse_server:watch(self()).

%% The streams, for the agent, as far as they fit into an answer.
list() ->
    All = lists:append([lists:sublist(entries(Direction), ?MAX_LISTED) || Direction <- [in, out]]),
    [#{local => S#stream.local, remote => S#stream.remote, direction => clearinghouse_stanza:direction(S#stream.direction),
       secure => S#stream.secure, auth => S#stream.auth, address => misc:ip_to_list(S#stream.address)} || S <- All].

%% The verdict that is enforced, counted.
stream(Local, Remote, Direction, Ip) ->
    {Policy, Verdict} = clearinghouse_image:stream(Local, Remote, Direction, clearinghouse_image:address(Ip)),
    clearinghouse_image:count(clearinghouse_stanza:ascii(Local), clearinghouse_stanza:ascii(Remote), Direction, stream, Policy),
    Verdict.
