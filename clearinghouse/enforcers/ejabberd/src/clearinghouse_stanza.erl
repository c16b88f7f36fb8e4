%% What a stanza is to policy, and the answers that the refused get.
-module(clearinghouse_stanza).

-export([ends/2, domain/1, bare/1, ascii/1, kind/1, bit/2, is_answer/1, may_wait/1, pair/1,
         refusal/3, refused/1, answer/2, again/1, event/3, element/3]).

-include("xmpp.hrl").
-include("clearinghouse.hrl").

%% Our end and theirs.
ends(in, Pkt) -> {xmpp:get_to(Pkt), xmpp:get_from(Pkt)};
ends(out, Pkt) -> {xmpp:get_from(Pkt), xmpp:get_to(Pkt)}.

pair(Pkt) -> {domain(xmpp:get_from(Pkt)), domain(xmpp:get_to(Pkt))}.

domain(#jid{lserver = Server}) -> ascii(Server).

bare(#jid{luser = <<>>} = Jid) -> domain(Jid);
bare(#jid{luser = User} = Jid) -> <<User/binary, "@", (domain(Jid))/binary>>.

%% Domains are compared as DNS writes them: one name, one spelling.
ascii(Server) ->
    Ascii = case << <<C>> || <<C>> <= Server, C > 127 >> of
                <<>> -> Server;
                _ -> list_to_binary(idna:utf8_to_ascii(Server))
            end,
    Lower = string:lowercase(Ascii),
    case byte_size(Lower) > 1 andalso binary:last(Lower) of
        $. -> binary:part(Lower, 0, byte_size(Lower) - 1);
        _ -> Lower
    end.

kind(#message{type = groupchat}) -> groupchat;
kind(#message{}) -> message;
kind(#presence{}) -> presence;
kind(#iq{}) -> iq.

bit(Direction, Pkt) -> bits(kind(Pkt)) * case Direction of in -> 1; out -> 16 end.

bits(message) -> 1;
bits(presence) -> 2;
bits(iq) -> 4;
bits(groupchat) -> 8.

%% What only answers something else.  It is never answered itself.
is_answer(#iq{type = result}) -> true;
is_answer(Pkt) -> xmpp:get_type(Pkt) =:= error.

%% What somebody waits for: it is worth asking about.
may_wait(#message{type = Type}) -> Type =/= error;
may_wait(#iq{type = Type}) -> Type =:= get orelse Type =:= set;
may_wait(#presence{type = Type}) -> Type =:= subscribe.

%% The stanza as it goes back.  An error has lost what type the stanza was of; our name for it has not.
refusal(Pkt, Text, Decision) ->
    Type = [{<<"type">>, atom_to_binary(T)} || T <- [written(Pkt)], T =/= none],
    Refused = #xmlel{name = <<"refused">>, attrs = [{<<"xmlns">>, ?NS_SERVER_MODULE}, {<<"decision">>, Decision} | Type]},
    Error = #stanza_error{type = cancel, reason = 'policy-violation', text = xmpp:mk_text(Text, <<"en">>)},
    Back = xmpp:make_error(Pkt, Error),
    xmpp:set_els(Back, xmpp:get_els(Back) ++ [Refused]).

written(#message{type = normal}) -> none;
written(#presence{type = available}) -> none;
written(Pkt) -> xmpp:get_type(Pkt).

%% Who is refused is told; but to answer an answer would never end.
answer(Pkt, Back) ->
    case is_answer(Pkt) of
        true -> ok;
        false -> ejabberd_router:route(Back)
    end.

%% The mark of a module like this one in what a peer sends back.
refused(Pkt) ->
    case xmpp:get_type(Pkt) =:= error andalso [E || #xmlel{name = <<"refused">>} = E <- xmpp:get_els(Pkt), ours(E)] of
        [Refused | _] -> Refused;
        _ -> none
    end.

ours(Element) -> xmpp:get_ns(Element) =:= ?NS_SERVER_MODULE.

%% The stanza that came back, as it was sent; none if that cannot be told.
again(Pkt) ->
    Refused = refused(Pkt),
    Els = [E || E <- xmpp:get_els(Pkt), not is_error(E), E =/= Refused],
    Sent = xmpp:set_els(xmpp:set_from_to(Pkt, xmpp:get_to(Pkt), xmpp:get_from(Pkt)), Els),
    case {Sent, fxml:get_tag_attr_s(<<"type">>, Refused)} of
        {#message{}, <<>>} -> Sent#message{type = normal};
        {#message{}, <<"chat">>} -> Sent#message{type = chat};
        {#message{}, <<"groupchat">>} -> Sent#message{type = groupchat};
        {#message{}, <<"headline">>} -> Sent#message{type = headline};
        {#presence{}, <<"subscribe">>} -> Sent#presence{type = subscribe};
        {#iq{}, <<"get">>} -> Sent#iq{type = get};
        {#iq{}, <<"set">>} -> Sent#iq{type = set};
        _ -> none
    end.

is_error(#stanza_error{}) -> true;
is_error(#xmlel{name = <<"error">>}) -> true;
is_error(_) -> false.

%% What the agent is told, as a message from one of our hosts.
event(From, Agent, Json) ->
    #message{from = jid:make(From), to = jid:make(Agent), sub_els = [element(<<"event">>, [], jiffy:encode(Json))]}.

element(Name, Attributes, Text) ->
    #xmlel{name = Name, attrs = [{<<"xmlns">>, ?NS_SERVER_MODULE} | Attributes],
           children = [{xmlcdata, iolist_to_binary(T)} || T <- [Text], T =/= none]}.
