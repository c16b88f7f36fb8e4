%% Streams to other servers that a door of the clearinghouse sends elsewhere (see-other-host), and no stanza to any door.
%%
%% A door is known by the key of its certificate, as the option `doors` has it.  Where keys of the other server are on record it must
%% show one of them; where a stream was sent on it must, in a certificate that is valid for its domain.  ejabberd looks at
%% certificates only at the features of a stream, and with dialback not at all, so that all of this is asked here.
%%
%% Everything runs in the process of the stream.  Of its state are ours: clearinghouse_place, where it was sent; clearinghouse_hops,
%% how often; clearinghouse_door, by whom; clearinghouse_soon, that a failure is not to be remembered for minutes.
-module(clearinghouse_follow).

-export([begun/2, received/3, verifies/2, proven/2, ended/2]).
-export([is_watched/1, afresh/1, judge/0, judged/1]).

-include("xmpp.hrl").
-include("logger.hrl").
-include("clearinghouse.hrl").

-define(MAX_HOPS, 3).             % after RFC 6120, section 4.9.3.19: a loop of doors ends
-define(MAX_PLACE, 270).          % bytes: the longest name of DNS, and a port
-define(MAX_TEXT, 200).           % characters of what a door says to it, in the log
-define(AGAIN_MS, 1000).          % after a failure, before the next stanza makes a new connection; as after a peer's refusal

%% ---------------------------------------------------------------- hooks of ejabberd, in the order of a stream

begun({ok, State} = Acc, _) ->
    case is_on(State) of
        true -> {ok, State#{mod => clearinghouse_s2s_out}};
        false -> Acc
    end;
begun(Acc, _) -> Acc.

%% ejabberd cannot decode see-other-host with a port, so that the element is read as it came.  What is still to be read of a
%% connection that is over tells nothing, nor does the end of a stream that stood.
received(#{stream_state := disconnected} = State, _, _) -> State;
received(#{on_route := queue} = State, El, Pkt) -> guarded(State, fun() -> read(State, El, Pkt) end);
received(State, _, _) -> State.

read(#{stream_encrypted := true} = State, _, #stream_features{}) -> met(State);
read(State, #xmlel{name = <<"stream:error">>} = Error, _) ->
    case told(<<"see-other-host">>, Error) of
        [Place | _] -> sent(State, Place, told(<<"text">>, Error));
        [] -> State
    end;
read(State, _, _) -> State.

told(Name, #xmlel{children = Els}) ->
    [fxml:get_tag_cdata(El) || #xmlel{name = N} = El <- Els, N =:= Name, xmpp:get_ns(El) =:= ?NS_STREAMS].

%% Whether ejabberd itself is to look at the certificate.  A door's names another domain, and yet what it says is to be read.
verifies(Verifies, State) ->
    case is_on(State) andalso peer(State) of
        {door, _, _} -> false;
        _ -> Verifies
    end.

%% The peer takes us for whom we are, by EXTERNAL or dialback, or not by EXTERNAL.  From here on it would get stanzas.
proven(State, Result) ->
    case guarded(State, fun() -> known(State, Result) end) of
        #{stream_state := disconnected} = Next -> {stop, Next};
        Next -> Next
    end.

known(State, Result) ->
    case {peer(State), Result, State} of
        {{door, _, _}, true, #{stream_authenticated := true}} -> {stop, State};    % what it has to say comes next
        {{door, Door, _}, true, _} -> let_in(State, Door);
        {{door, Door, _}, _, #{db_verify := _}} -> let_in(State, Door);            % it must not answer for others either
        {_, true, _} -> met(State);
        _ -> State
    end.

%% ejabberd returns everything for a while now; for how long is drawn by lot, up to s2s_max_retry_delay.
ended(#{on_route := bounce, clearinghouse_soon := true} = State, _) -> xmpp_stream_out:set_timeout(State, ?AGAIN_MS);
ended(State, _) -> State.

%% ---------------------------------------------------------------- redirects

sent(State, Place, Text) ->
    case {peer(State), parsed(Place)} of
        {nobody, _} -> not_followed(State, <<"it came without TLS">>);
        {{door, Door, true}, {_, _} = Parsed} -> sent_by(Door, State, Parsed, Text);
        {{door, _, true}, none} -> not_followed(State, <<"it names no address">>);
        _ -> not_followed(State, <<"it came from no door that is known here">>)
    end.

sent_by(Door, State, Place, Text) ->
    Hops = maps:get(clearinghouse_hops, State, 0),
    case pins(State) of
        _ when Hops >= ?MAX_HOPS -> not_followed(State, <<"it was the ", (integer_to_binary(Hops + 1))/binary, "th in a row">>);
        none -> not_followed(State, <<"no key of ", (remote(State))/binary, " is on record">>);
        _ -> gone(State#{clearinghouse_door => Door, clearinghouse_hops => Hops + 1}, Place, Text)
    end.

not_followed(State, Why) -> refused(State, <<"the redirect was not followed: ", Why/binary>>).

%% The same process goes there, for the same domain, with all that waits.
gone(#{socket := Socket, clearinghouse_door := Door, clearinghouse_hops := Hop} = State, {Host, Port} = Place, Text) ->
    ?INFO_MSG("Sent on by ~ts: ~ts is at ~ts, port ~p (redirect ~p): ~ts",
              [Door, remote(State), Host, Port, Hop, [string:slice(T, 0, ?MAX_TEXT) || T <- Text]]),
    xmpp_socket:send_trailer(Socket),
    Left = xmpp_stream_out:close(State),
    ejabberd_s2s_out:connect(self()),
    Next = maps:without([stop_reason, clearinghouse_again], Left),
    xmpp_stream_out:set_timeout(Next#{mod => clearinghouse_s2s_out, clearinghouse_place => Place, clearinghouse_soon => true},
                                ejabberd_option:negotiation_timeout()).

%% Another try begins where DNS says.
afresh(State) -> maps:without([clearinghouse_place, clearinghouse_hops, clearinghouse_door], State).

%% host, host:port, [address] or [address]:port.
parsed(Place) when byte_size(Place) > ?MAX_PLACE -> none;
parsed(Place) ->
    Form = "^\\s*(?:\\[([0-9A-Fa-f:.]+)\\]|([0-9A-Za-z._-]+))(?::([0-9]{1,5}))?\\s*$",
    case re:run(Place, Form, [{capture, all_but_first, list}]) of
        {match, [[], Host]} -> {Host, 5269};
        {match, [[], Host, Port]} -> at(Host, list_to_integer(Port));
        {match, [Address]} -> at_address(Address, 5269);
        {match, [Address, [], Port]} -> at_address(Address, list_to_integer(Port));
        nomatch -> none
    end.

at_address(Address, Port) ->
    case inet:parse_strict_address(Address) of
        {ok, _} -> at(Address, Port);
        {error, _} -> none
    end.

at(Host, Port) when Port > 0, Port < 65536 -> {Host, Port};
at(_, _) -> none.

%% ---------------------------------------------------------------- who the peer is

%% What goes on here is nothing for a door that believes us, and for others only where they must be known, and are.
met(State) ->
    case {peer(State), State} of
        {{door, Door, _}, #{stream_authenticated := true}} -> let_in(State, Door);
        {{door, _, _}, _} -> State;
        {Peer, _} -> judged(State, Peer)
    end.

let_in(State, Door) -> refused(State, <<Door/binary, " let us in instead of sending us on">>).

%% As it was when the stream began; what is on record may have changed since.
judged(#{stream_state := disconnected} = State) -> State;
judged(State) -> guarded(State, fun() -> met(State) end).

judged(State, Peer) ->
    case is_watched(State) andalso wrong(State, Peer, pins(State)) of
        false -> State;
        Why -> refused(State, Why)
    end.

wrong(State, _, none) -> <<"no key of ", (remote(State))/binary, " is on record">>;
wrong(_, nobody, _) -> <<"the connection is not encrypted">>;
wrong(State, {server, Key}, Pins) ->
    case is_map_key(clearinghouse_place, State) andalso xmpp_stream_pkix:authenticate(State) of
        {error, hostname_mismatch, _} -> <<"the certificate is not valid for ", (remote(State))/binary>>;
        {error, _, _} -> <<"the certificate of ", (remote(State))/binary, " is not trusted">>;
        _ -> not lists:member(Key, Pins) andalso <<"the key of the certificate of ", (remote(State))/binary, " is not on record">>
    end.

%% Must the other server be known by its key?  Then there must be TLS, too.
is_watched(State) -> is_map_key(clearinghouse_place, State) orelse (doors() =/= [] andalso pins(State) =/= none).

pins(#{server := Local} = State) -> clearinghouse_peers:pins(clearinghouse_stanza:ascii(Local), remote(State)).

remote(#{remote_server := Remote}) -> clearinghouse_stanza:ascii(Remote).

%% nobody, who can say anything; or a server with a key; or a door, and whether its certificate has the name of this door, or of
%% the domain that we call.
peer(#{stream_encrypted := true, socket := Socket} = State) ->
    {ok, Der} = xmpp_socket:get_peer_certificate(Socket, der),
    Key = key(Der),
    case [Door || {Pin, Door} <- doors(), Pin =:= Key] of
        [] -> {server, Key};
        [Door | _] = Doors -> {door, Door, is_for([remote(State) | Doors], Der)}
    end;
peer(_) ->
    nobody.

%% certificate -> its body -> SubjectPublicKeyInfo.
key(Der) ->
    Body = element(2, public_key:pkix_decode_cert(Der, plain)),
    crypto:hash(sha256, public_key:der_encode('SubjectPublicKeyInfo', element(8, Body))).

is_for(Names, Der) ->
    Shown = [string:lowercase(N) || N <- xmpp_stream_pkix:get_cert_domains(public_key:pkix_decode_cert(Der, otp))],
    lists:any(fun(Name) -> lists:any(fun(S) -> S =:= Name orelse S =:= wild(Name) end, Shown) end, Names).

wild(Name) -> iolist_to_binary(["*." | tl(binary:split(Name, <<".">>))]).

doors() -> clearinghouse_image:setting(doors).

%% Without doors everything is as it is without us.
is_on(State) -> doors() =/= [] orelse is_map_key(clearinghouse_place, State).

%% ---------------------------------------------------------------- ends

%% ejabberd goes on with a stream when a hook fails, so that a mistake of ours would open the door.
guarded(State, Fun) ->
    try is_on(State) andalso Fun() of
        false -> State;
        Next -> Next
    catch Class:Why:Where ->
        ?ERROR_MSG("A stream could not be judged: ~p", [{Class, Why, Where}]),
        refused(State, <<"this server could not be judged">>)
    end.

refused(#{remote_server := Remote} = State, Why) ->
    Told = case State of
               #{clearinghouse_door := Door} -> <<"sent on by ", Door/binary, ": ", Why/binary>>;
               _ -> Why
           end,
    ?WARNING_MSG("No stanza goes to ~ts: ~ts", [Remote, Told]),
    ejabberd_s2s_out:send(State#{clearinghouse_soon => true}, xmpp:serr_policy_violation(Told, <<"en">>)).

%% Other keys are on record now: streams that stand are judged again.
judge() ->
    [ejabberd_s2s_out:update_state(Pid, {?MODULE, judged, []})
     || #stream{pid = Pid} <- ets:match_object(?STREAMS, #stream{direction = out, _ = '_'})],
    ok.
