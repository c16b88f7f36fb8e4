%% What the images say: may this stanza pass, may this stream stand?
%%
%% Only look-ups, in the process that asks.  Whatever goes wrong in here is a refusal: ejabberd goes on with the
%% stanza when a hook fails, so that a mistake would open the door.
-module(clearinghouse_image).

-export([stanza/3, stream/4, count/5, governing/1, is_agent/1, asks/1, reason/2, address/1, setting/1]).

-include("xmpp.hrl").
-include("clearinghouse.hrl").

%% Different names that are counted.  Whoever makes up names must not fill our memory.
-define(MAX_SEEN, 10000).
-define(MAX_NAME, 253).           % bytes: what DNS can have

-type verdict() :: allow
                 | address                           % only on streams from addresses that a grant names
                 | {deny, Reason :: binary(), Decision :: binary()}.
-type shown() :: {allow | deny, verdict()}.          % what policy says first, then what is enforced

%% May the stanza pass?
-spec stanza(in | out, stanza(), unknown | inet:ip_address()) -> shown().
stanza(Direction, Pkt, Address) ->
    guarded(fun() ->
        {Here, There} = clearinghouse_stanza:ends(Direction, Pkt),
        judged(#ask{local = clearinghouse_stanza:domain(Here), here = clearinghouse_stanza:bare(Here),
                    remote = clearinghouse_stanza:domain(There), there = clearinghouse_stanza:bare(There),
                    bits = clearinghouse_stanza:bits(Direction, Pkt), address = Address})
    end).

%% May a stream of this pair stand, from this address?  It may if anything at all may pass, in either direction:
%% answers to what goes one way come back the other way.
-spec stream(binary(), binary(), in | out, unknown | inet:ip_address()) -> shown().
stream(Local, Remote, Direction, Address) ->
    guarded(fun() ->
        case Direction =:= in andalso is_ours(Remote) of
            true -> {deny, {deny, <<"this domain is served here">>, <<>>}};
            false -> judged(#ask{local = clearinghouse_stanza:ascii(Local), remote = clearinghouse_stanza:ascii(Remote),
                                 bits = ?EVERYTHING, address = Address})
        end
    end).

%% Nobody outside is one of us, also while a component of ours is not connected.
is_ours(Remote) ->
    Name = clearinghouse_stanza:ascii(Remote),
    ejabberd_router:is_my_route(Remote) orelse is_agent(Name) orelse governing(Name) =/= undefined.

guarded(Fun) ->
    try Fun()
    catch _:_ -> {deny, {deny, <<"no policy is known here">>, <<>>}}
    end.

judged(#ask{local = Local, remote = Remote} = Ask) ->
    case is_agent(Local) andalso lists:member(Remote, setting(exempt)) of
        true -> {allow, allow};
        false -> governed(governing(Local), Ask)
    end.

governed(undefined, _) ->
    case setting(ungoverned) of
        allow -> {allow, allow};
        deny -> {deny, {deny, <<"no policy is known here">>, <<>>}}
    end;
governed(Image, Ask) ->
    Now = os:system_time(second),
    Verdict = case by_row(Image, Ask, Now) of
                  {allow, _} -> allow;
                  {deny, Reason} -> by_grant(Image, Ask, Now, Reason)
              end,
    enforced(Image#image.mode, Verdict).

enforced(shadow, {deny, _, _}) -> {deny, allow};
enforced(shadow, _) -> {allow, allow};
enforced(enforce, {deny, _, _} = Verdict) -> {deny, Verdict};
enforced(enforce, Verdict) -> {allow, Verdict}.

%% After its end an image has no rows, and what is not in it is not allowed by default either: a domain that was
%% denied by its row would be.
by_row(#image{expires = T}, _, Now) when T > 0, Now >= T ->
    {deny, <<"the levels known here have expired">>};
by_row(#image{rows = Rows, classes = Classes} = Image, #ask{remote = Remote, bits = Bits}, _) ->
    case ets:lookup(Rows, Remote) of
        [{_, Class}] ->
            {Mask, Reason} = maps:get(Class, Classes),
            {permits(Mask, Bits), Reason};
        [] ->
            {Image#image.default, Image#image.default_reason}
    end.

permits(Mask, Bits) when Mask band Bits =/= 0 -> allow;
permits(_, _) -> deny.

by_grant(#image{grants = Grants} = Image, #ask{remote = Remote} = Ask, Now, Reason) ->
    Live = [G || {_, _, #grant{until = Until} = G} <- ets:lookup(Grants, Remote), Now < Until],
    case lists:usort([where(G, Ask) || G <- Live, covers(G, Ask)]) of
        [here | _] -> allow;
        [maybe_here | _] -> address;
        _ -> refused(Reason, Ask, lists:foldl(fun decided/2, Image#image.decision, Live))
    end.

%% What was decided for others at that domain says more than what was decided for all domains.
decided(#grant{decision = <<>>}, Decision) -> Decision;
decided(#grant{decision = Decision}, _) -> Decision.

refused(<<>>, #ask{local = Local, remote = Remote} = Ask, Decision) ->
    refused(<<"not permitted between ", Local/binary, " and ", Remote/binary>>, Ask, Decision);
refused(Reason, _, Decision) ->
    {deny, reason(Reason, Decision), Decision}.

%% As people read it: why, and what was decided.
reason(Reason, <<>>) -> Reason;
reason(Reason, Decision) -> <<Reason/binary, " (", Decision/binary, ")">>.

covers(#grant{mask = Mask, user = User, local = Local}, #ask{bits = Bits, here = Here, there = There}) ->
    Mask band Bits =/= 0 andalso same(User, There) andalso same(Local, Here).

same(any, _) -> true;
same(_, any) -> true;
same(Jid, Jid) -> true;
same(_, _) -> false.

where(#grant{address = any}, _) -> here;
where(#grant{address = A}, #ask{address = A}) -> here;
where(_, #ask{address = unknown}) -> maybe_here;
where(_, _) -> somewhere_else.

%% Which image governs this local host?
-spec governing(binary()) -> #image{} | undefined.
governing(Local) ->
    case ets:lookup(?HOSTS, Local) of
        [{_, Name}] ->
            [{_, Image}] = ets:lookup(?IMAGES, Name),
            Image;
        [] ->
            undefined
    end.

is_agent(Domain) -> Domain =:= setting(agent).

%% Is what is refused to users of this host held, until the agent has asked?
asks(Local) ->
    case governing(Local) of
        #image{ask = true, mode = enforce, name = Name} -> {true, Name};
        _ -> false
    end.

%% As ejabberd.yml has it.
setting(Name) -> maps:get(Name, persistent_term:get(mod_clearinghouse)).

%% Whoever makes up more domains than that is counted as `*`.  Who is not proven yet says what he likes: hosts of ours that
%% there are not, and what no table can have, have no names here.
count(Local, Remote, Direction, Kind, Policy) ->
    counted(here(Local), there(Remote), Direction, Kind, Policy).

here(Local) ->
    case governing(Local) =/= undefined orelse ejabberd_router:is_my_route(Local) of
        true -> Local;
        false -> <<"*">>
    end.

there(Remote) when byte_size(Remote) > ?MAX_NAME -> <<"*">>;
there(Remote) -> Remote.

counted(Local, Remote, Direction, Kind, Policy) ->
    Key = {Local, Remote, Direction, Kind, Policy =:= allow},
    try ets:update_counter(?SEEN, Key, 1)
    catch error:badarg ->
        case ets:info(?SEEN, size) of
            Size when is_integer(Size), Size < ?MAX_SEEN; Remote =:= <<"*">> -> ets:update_counter(?SEEN, Key, 1, {Key, 0});
            Size when is_integer(Size) -> counted(Local, <<"*">>, Direction, Kind, Policy);
            undefined -> 0
        end
    end.

%% A socket that takes both families shows IPv4 peers as ::ffff:a.b.c.d.
address(unknown) -> unknown;
address({Address, Port}) when is_tuple(Address), is_integer(Port) -> address(Address);
address({0, 0, 0, 0, 0, 16#ffff, A, B}) -> {A bsr 8, A band 255, B bsr 8, B band 255};
address(Address) -> Address.
