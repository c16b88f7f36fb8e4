%% Federation as a clearinghouse's agent says: no policy in here, only its enforcement.
%%
%% The agent is a component of this server and drives this module with IQs in urn:x-clearinghouse:server:1
%% (docs/reference/server-protocol.md of the clearinghouse).  Options:
%%
%%   modules:
%%     mod_clearinghouse:
%%       agent: agent.a.example     # only its own component session may push
%%       exempt: [hub.example]      # domains that the agent itself may always talk to
%%       ungoverned: deny           # hosts of ours for which nothing was pushed
%%       doors:                     # may send our streams elsewhere: their names, and the SHA-256 of their keys
%%         door.hub.example: ["3fb4..."]
-module(mod_clearinghouse).
-behaviour(gen_mod).

-export([start/2, stop/1, reload/3, depends/2, mod_options/1, mod_opt_type/1, mod_doc/0]).
-export([filter_packet/1, component_packet/1, component_connected/1, receive_packet/1, in_auth_result/3, in_packet/2,
         out_auth_result/2, out_closed/2, forbidden/1, decode_iq_subel/1]).

-include("xmpp.hrl").
-include("logger.hrl").
-include("clearinghouse.hrl").

%% ---------------------------------------------------------------- as a module of ejabberd

start(Host, Opts) ->
    {module, _} = code:ensure_loaded(clearinghouse_s2s_out),    % of what is not loaded, streams find that it exports nothing
    settings(Opts),
    lists:foreach(fun started/1, [clearinghouse_held, clearinghouse_server]),
    [ejabberd_hooks:add(Hook, Where, Module, Function, Priority) || {Hook, Where, Module, Function, Priority} <- hooks(Host)],
    [gen_iq_handler:add_iq_handler(Part, Host, ?NS_SERVER_MODULE, ?MODULE, forbidden) || Part <- [ejabberd_local, ejabberd_sm]],
    ok.

stop(Host) ->
    Last = not gen_mod:is_loaded_elsewhere(Host, ?MODULE),
    [gen_iq_handler:remove_iq_handler(Part, Host, ?NS_SERVER_MODULE) || Part <- [ejabberd_local, ejabberd_sm]],
    [ejabberd_hooks:delete(Hook, Where, Module, Function, Priority)
     || {Hook, Where, Module, Function, Priority} <- hooks(Host), Where =/= global orelse Last],
    Last andalso lists:foreach(fun ended/1, [clearinghouse_server, clearinghouse_held]),
    ok.

reload(_Host, NewOpts, _OldOpts) -> settings(NewOpts).

depends(_Host, _Opts) -> [].

mod_opt_type(agent) -> econf:domain();
mod_opt_type(exempt) -> econf:list(econf:domain());
mod_opt_type(ungoverned) -> econf:enum([deny, allow]);
mod_opt_type(doors) -> econf:map(econf:domain(), econf:non_empty(econf:list(econf:binary("^[0-9A-Fa-f]{64}$"))), [unique]).

mod_options(_Host) -> [agent, {exempt, []}, {ungoverned, deny}, {doors, []}].

mod_doc() -> #{desc => <<"Federation as a clearinghouse's agent says.">>}.

settings(Opts) ->
    persistent_term:put(?MODULE, #{agent => clearinghouse_stanza:ascii(gen_mod:get_opt(agent, Opts)),
                                   exempt => [clearinghouse_stanza:ascii(D) || D <- gen_mod:get_opt(exempt, Opts)],
                                   ungoverned => gen_mod:get_opt(ungoverned, Opts),
                                   doors => doors(gen_mod:get_opt(doors, Opts))}).

doors(Doors) -> [{clearinghouse_peers:pin(Pin), clearinghouse_stanza:ascii(Door)} || {Door, Pins} <- Doors, Pin <- Pins].

started(Module) ->
    Child = #{id => Module, start => {Module, start_link, []}, restart => permanent, shutdown => 5000},
    case supervisor:start_child(ejabberd_gen_mod_sup, Child) of
        {ok, _} -> ok;
        {error, {already_started, _}} -> ok
    end.

ended(Module) ->
    supervisor:terminate_child(ejabberd_gen_mod_sup, Module),
    supervisor:delete_child(ejabberd_gen_mod_sup, Module).

%% Before or after whom: 50 is dialback, 100 is ejabberd's own end of a stream.
hooks(Host) ->
    [{filter_packet, global, ?MODULE, filter_packet, 90},
     {component_send_packet, global, ?MODULE, component_packet, 10},
     {component_connected, global, ?MODULE, component_connected, 50},
     {s2s_receive_packet, Host, ?MODULE, receive_packet, 10},
     {s2s_in_auth_result, Host, ?MODULE, in_auth_result, 10},
     {s2s_in_unauthenticated_packet, Host, ?MODULE, in_packet, 10},
     {s2s_in_authenticated_packet, Host, ?MODULE, in_packet, 10},
     {s2s_out_init, Host, clearinghouse_follow, begun, 90},
     {s2s_out_handle_recv, Host, clearinghouse_follow, received, 50},
     {s2s_out_tls_verify, Host, clearinghouse_follow, verifies, 60},
     {s2s_out_auth_result, Host, clearinghouse_follow, proven, 40},
     {s2s_out_auth_result, Host, ?MODULE, out_auth_result, 60},
     {s2s_out_auth_result, Host, clearinghouse_follow, ended, 110},
     {s2s_out_closed, Host, ?MODULE, out_closed, 60},
     {s2s_out_closed, Host, clearinghouse_follow, ended, 110}].

%% ---------------------------------------------------------------- stanzas

%% Everything that this server routes; what leaves it is judged here, before a connection is opened for it.
filter_packet(drop) -> drop;
filter_packet(Pkt) ->
    try ejabberd_router:is_my_route((xmpp:get_to(Pkt))#jid.lserver) of
        true -> Pkt;
        false -> outward(xmpp:get_meta(Pkt, clearinghouse, none), Pkt)
    catch
        _:Why -> failed(leaving, Why), {stop, drop}
    end.

%% Our own refusals always go out.
outward(refusal, Pkt) -> to_peer(Pkt);
outward(_, Pkt) -> leaving(Pkt).

leaving(Pkt) ->
    {Policy, Verdict} = clearinghouse_image:stanza(out, Pkt, unknown),
    count(out, Pkt, Policy),
    case Verdict of
        allow -> clearinghouse_held:remember(Pkt), to_peer(Pkt);
        address -> to_some_addresses(Pkt);
        {deny, Reason, Decision} -> clearinghouse_held:refused(Pkt, self, Reason, Decision), {stop, drop}
    end.

%% A peer that has just refused our stream would not be asked again for a while; its answer is known.  But it has
%% asked us something since, if this is an answer.
to_peer(Pkt) ->
    Pair = {(xmpp:get_from(Pkt))#jid.lserver, (xmpp:get_to(Pkt))#jid.lserver},
    case {clearinghouse_streams:refuser(Pair), clearinghouse_stanza:is_answer(Pkt)} of
        {none, _} -> Pkt;
        {_, true} -> clearinghouse_streams:retry(Pair), Pkt;
        {{refused, Said}, false} -> clearinghouse_held:refused(Pkt, peer, Said, <<>>), {stop, drop}
    end.

to_some_addresses(Pkt) ->
    case ejabberd_s2s:start_connection(xmpp:get_from(Pkt), xmpp:get_to(Pkt)) of
        {ok, Pid} -> ejabberd_s2s_out:update_state(Pid, {clearinghouse_streams, judged_route, [Pkt]}), {stop, drop};
        {error, _} -> Pkt
    end.

%% What comes from other servers.
receive_packet({drop, _} = Acc) -> Acc;
receive_packet({Pkt, #{ip := Ip} = State}) ->
    try
        {Policy, Verdict} = clearinghouse_image:stanza(in, Pkt, clearinghouse_image:address(Ip)),
        count(in, Pkt, Policy),
        case Verdict of
            {deny, Reason, Decision} -> not_received(Pkt, Reason, Decision), {stop, {drop, State}};
            _ -> received(Pkt, State)
        end
    catch
        _:Why -> failed(arriving, Why), {stop, {drop, State}}
    end.

received(Pkt, State) ->
    case clearinghouse_stanza:refused(Pkt) andalso clearinghouse_held:returned(Pkt) of
        true -> {stop, {drop, State}};
        false -> {Pkt, State}
    end.

%% The mark lets the answer out, also to a domain that may receive nothing else.
not_received(Pkt, Reason, Decision) ->
    Back = clearinghouse_stanza:refusal(Pkt, Reason, Decision),
    clearinghouse_stanza:answer(Pkt, xmpp:put_meta(Back, clearinghouse, refusal)).

%% Answers are no wish of anybody's, and not counted.
count(Direction, Pkt, Policy) -> clearinghouse_stanza:is_answer(Pkt) orelse counted(Direction, Pkt, Policy).

counted(Direction, Pkt, Policy) ->
    {Here, There} = clearinghouse_stanza:ends(Direction, Pkt),
    clearinghouse_image:count(clearinghouse_stanza:domain(Here), clearinghouse_stanza:domain(There), Direction,
                              clearinghouse_stanza:kind(Pkt), Policy).

failed(What, Why) -> ?ERROR_MSG("A stanza was dropped while ~ts: ~p", [What, Why]).

%% ---------------------------------------------------------------- streams

%% EXTERNAL is still under way when this is called; dialback was judged in `in_packet`, and is again.
in_auth_result(State, true, Remote) ->
    Auth = case State of #{sasl_mech := <<"EXTERNAL">>} -> <<"external">>; _ -> <<"dialback">> end,
    Next = clearinghouse_streams:proven(State, Remote, Auth),
    case Next of
        #{stream_state := disconnected} -> {stop, Next};
        _ -> Next
    end;
in_auth_result(State, false, _Remote) ->
    State.

in_packet(State, #db_result{type = undefined, to = Local, from = Remote}) ->
    case clearinghouse_streams:claimed(State, Local, Remote) of
        allowed -> State;
        {refused, Next} -> {stop, Next}
    end;
in_packet(State, _) ->
    State.

out_auth_result(State, true) -> clearinghouse_streams:connected(State);
out_auth_result(State, _) -> State.

out_closed(#{db_verify := _} = State, _) -> State;
out_closed(State, Reason) -> clearinghouse_streams:closed(State, Reason).

%% ---------------------------------------------------------------- the agent

component_connected(Domain) -> clearinghouse_server:component(Domain).

%% Pushes come from the component session that authenticated as the agent, and from nowhere else: this hook runs
%% in that session.  A component may be allowed to send under other names; that does not help it.
component_packet({#iq{type = Type, to = #jid{luser = <<>>} = To, sub_els = [#xmlel{} = El]} = IQ, State} = Acc)
  when Type =:= get; Type =:= set ->
    case xmpp:get_ns(El) =:= ?NS_SERVER_MODULE andalso ejabberd_router:is_my_route(To#jid.lserver) of
        true -> asked(is_agent(IQ, State), IQ, El), {stop, {drop, State}};
        false -> Acc
    end;
component_packet(Acc) ->
    Acc.

is_agent(#iq{from = #jid{luser = <<>>, lresource = <<>>} = From}, #{remote_server := Session}) ->
    clearinghouse_image:is_agent(clearinghouse_stanza:domain(From))
        andalso clearinghouse_image:is_agent(clearinghouse_stanza:ascii(Session));
is_agent(_, _) ->
    false.

asked(true, #iq{type = set} = IQ, #xmlel{name = <<"push">>} = El) -> clearinghouse_server:push(IQ, fxml:get_tag_cdata(El));
asked(true, #iq{type = get} = IQ, #xmlel{name = <<"status">>}) -> clearinghouse_server:status(IQ);
asked(true, IQ, _) -> ejabberd_router:route_error(IQ, xmpp:err_bad_request(<<"no such request">>, <<"en">>));
asked(false, IQ, _) -> ejabberd_router:route(forbidden(IQ)).

%% Everybody else who tries: users, other servers.  What they ask need not be read for that.
decode_iq_subel(El) -> El.

forbidden(IQ) -> xmpp:make_error(IQ, xmpp:err_forbidden(<<"only the agent's own session may ask this">>, <<"en">>)).
