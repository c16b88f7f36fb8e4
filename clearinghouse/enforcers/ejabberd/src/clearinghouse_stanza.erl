%% What a stanza is to policy, and the answers that the refused get.
-module(clearinghouse_stanza).

-export([ends/2, domain/1, bare/1, ascii/1, kind/1, bits/2, is_answer/1, may_wait/1, pair/1,
         refusal/3, refused/1, answer/2, direction/1, event/3, element/3]).

-include("xmpp.hrl").
-include("clearinghouse.hrl").

-define(MAX_COPY, 10000).         % bytes of a refused stanza that are sent back with the refusal

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
                _ -> encoded(Server)
            end,
    Lower = string:lowercase(Ascii),
    case byte_size(Lower) > 1 andalso binary:last(Lower) of
        $. -> binary:part(Lower, 0, byte_size(Lower) - 1);
        _ -> Lower
    end.

%% A name that DNS cannot have leads nowhere, and is in no table.
encoded(Server) ->
    try list_to_binary(idna:utf8_to_ascii(Server))
    catch _:_ -> Server
    end.

kind(#message{type = groupchat}) -> groupchat;
kind(#message{}) -> message;
kind(#presence{}) -> presence;
kind(#iq{}) -> iq.

%% What must be permitted so that it passes: one of these bits.  An error, or a result, needs what its question
%% needs to go the other way: clients show what stands in an error, so that it must be no way round.
bits(Direction, Pkt) ->
    case is_answer(Pkt) of
        true -> answered(Pkt) * side(other(Direction));
        false -> bit(kind(Pkt)) * side(Direction)
    end.

answered(#message{}) -> bit(message) bor bit(groupchat);
answered(Pkt) -> bit(kind(Pkt)).

side(in) -> 1;
side(out) -> 16.

other(in) -> out;
other(out) -> in.

bit(message) -> 1;
bit(presence) -> 2;
bit(iq) -> 4;
bit(groupchat) -> 8.

%% What only answers something else.  It is never answered itself.
is_answer(#iq{type = result}) -> true;
is_answer(Pkt) -> xmpp:get_type(Pkt) =:= error.

%% What somebody waits for: it is worth asking about.
may_wait(#message{type = Type}) -> Type =/= error;
may_wait(#iq{type = Type}) -> Type =:= get orelse Type =:= set;
may_wait(#presence{type = Type}) -> Type =:= subscribe.

%% What the agent calls the two ways.
direction(in) -> inbound;
direction(out) -> outbound.

%% The stanza as it goes back to its sender, with a mark that a module like this one knows.  It repeats what was
%% sent, if that is not too much; an error has lost what type that was of, the mark has not.
refusal(Pkt, Text, Decision) ->
    Type = [{<<"type">>, atom_to_binary(T)} || T <- [written(Pkt)], T =/= none],
    Error = #xmlel{name = <<"error">>, attrs = [{<<"type">>, <<"cancel">>}],
                   children = [#xmlel{name = <<"policy-violation">>, attrs = [{<<"xmlns">>, ?NS_STANZAS}]},
                               #xmlel{name = <<"text">>, attrs = [{<<"xmlns">>, ?NS_STANZAS}, {<<"xml:lang">>, <<"en">>}],
                                      children = [{xmlcdata, Text}]},
                               element(<<"refused">>, [{<<"decision">>, Decision} | Type], none)]},
    xmpp:make_error(short(Pkt), Error).

short(Pkt) ->
    case byte_size(fxml:element_to_binary(xmpp:encode(Pkt))) > ?MAX_COPY of
        true -> without(Pkt);
        false -> Pkt
    end.

without(#message{} = Pkt) -> Pkt#message{body = [], subject = [], thread = undefined, sub_els = []};
without(Pkt) -> xmpp:set_els(Pkt, []).

written(#message{type = normal}) -> none;
written(#presence{type = available}) -> none;
written(Pkt) -> xmpp:get_type(Pkt).

%% Who is refused is told; but to answer an answer would never end.
answer(Pkt, Back) ->
    case is_answer(Pkt) of
        true -> ok;
        false -> ejabberd_router:route(Back)
    end.

%% Is this a refusal by a module like this one?
refused(Pkt) ->
    xmpp:get_type(Pkt) =:= error andalso
        case xmpp:get_error(Pkt) of
            #stanza_error{sub_els = Els} -> lists:any(fun is_mark/1, Els);
            _ -> false
        end.

is_mark(#xmlel{name = <<"refused">>} = El) -> xmpp:get_ns(El) =:= ?NS_SERVER_MODULE;
is_mark(_) -> false.

%% What the agent is told, as a message from one of our hosts.
event(From, Agent, Json) ->
    #message{from = jid:make(From), to = jid:make(Agent), sub_els = [element(<<"event">>, [], jiffy:encode(Json))]}.

element(Name, Attributes, Text) ->
    #xmlel{name = Name, attrs = [{<<"xmlns">>, ?NS_SERVER_MODULE} | Attributes],
           children = [{xmlcdata, iolist_to_binary(T)} || T <- [Text], T =/= none]}.
