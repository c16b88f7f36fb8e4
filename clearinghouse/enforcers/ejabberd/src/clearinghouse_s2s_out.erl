%% What ejabberd_s2s_out does, but for what a stream has to do otherwise where doors are configured.
%%
%% xmpp_stream_out asks the module in its state's `mod`, and only for what that module exports.
-module(clearinghouse_s2s_out).
-behaviour(xmpp_stream_out).

-export([resolve/2, tls_required/1]).
-export([tls_options/1, tls_verify/1, tls_enabled/1, connect_options/3, connect_timeout/1, address_families/1, default_port/1,
         dns_retries/1, dns_timeout/1, handle_auth_success/2, handle_auth_failure/3, handle_packet/2, handle_stream_end/2,
         handle_stream_downgraded/2, handle_recv/3, handle_send/3, handle_cdata/2, handle_stream_established/1, handle_timeout/1,
         handle_call/3, handle_cast/2, handle_info/2, terminate/2, code_change/3]).

-define(OF, ejabberd_s2s_out).

%% A place is looked up as an address: its SRV records, or those of the domain, would name the door again.
resolve(_, #{clearinghouse_place := {Host, Port}}) -> [{Host, Port, false}];
resolve(_, _) -> [].

tls_required(State) -> clearinghouse_follow:is_watched(State) orelse ?OF:tls_required(State).

tls_options(State) -> ?OF:tls_options(State).
tls_verify(State) -> ?OF:tls_verify(State).
tls_enabled(State) -> ?OF:tls_enabled(State).
connect_options(Address, Options, State) -> ?OF:connect_options(Address, Options, State).
connect_timeout(State) -> ?OF:connect_timeout(State).
address_families(State) -> ?OF:address_families(State).
default_port(State) -> ?OF:default_port(State).
dns_retries(State) -> ?OF:dns_retries(State).
dns_timeout(State) -> ?OF:dns_timeout(State).
handle_auth_success(Mechanism, State) -> ?OF:handle_auth_success(Mechanism, State).
handle_auth_failure(Mechanism, Reason, State) -> ?OF:handle_auth_failure(Mechanism, Reason, State).
handle_packet(Pkt, State) -> ?OF:handle_packet(Pkt, State).
handle_stream_end(Reason, State) -> ?OF:handle_stream_end(Reason, State).
handle_stream_downgraded(Start, State) -> ?OF:handle_stream_downgraded(Start, State).
handle_recv(El, Pkt, State) -> ?OF:handle_recv(El, Pkt, State).
handle_send(Pkt, Result, State) -> ?OF:handle_send(Pkt, Result, State).
handle_cdata(Data, State) -> ?OF:handle_cdata(Data, State).
handle_stream_established(State) -> ?OF:handle_stream_established(State).
handle_timeout(State) -> ?OF:handle_timeout(State).
handle_call(Request, From, State) -> ?OF:handle_call(Request, From, State).
handle_cast(Request, State) -> ?OF:handle_cast(Request, State).
handle_info(Info, State) -> ?OF:handle_info(Info, State).
code_change(Old, State, Extra) -> ?OF:code_change(Old, State, Extra).

%% ejabberd looks for streams in its table s2s, and takes this one out when it hears that the process is gone: what was sent here in
%% between is lost.  So it is taken out first, and then what still waits is returned.
terminate(Reason, #{server := Local, remote_server := Remote} = State) ->
    mnesia:dirty_delete_object({s2s, {Local, Remote}, self()}),
    ?OF:terminate(Reason, State).
