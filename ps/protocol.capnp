# The wire protocol of Knotwork's parameter server, version 1. docs/protocol.md shows it with worked examples.
#
# Roles. A *server* owns a contiguous range of rows of every table and binds one ZeroMQ ROUTER socket. A *client* opens
# one DEALER socket to each server that it asks. Clients speak first; a server only ever answers, with exactly one reply
# to each request, in no promised order. Integers and floats in frames 1 and 2 are little-endian.
#
# A request is 1 to 3 ZeroMQ frames:   [Request] [keys] [rows]
# A reply is 1 or 2 ZeroMQ frames:     [Reply] [rows]
#   keys  uint64 row numbers in the whole table, 8 bytes each, no padding; may repeat.
#   rows  float32 (or, if the request says so, bfloat16: the upper half of a float32, rounded to nearest even),
#         row-major, as many rows as there are keys, no padding. A row has `dim` columns; "with state" it has
#         dim + state width columns: the row first, then its optimizer state (adagrad 1 float, adam 2 dim + 1).
#
# Frame 0 is an unpacked Cap'n Proto message in stream framing (segment table first), at most 64 KiB.
#
# Errors. Whatever arrives, the server answers with a reply, and whatever it can't use it answers with `error` and
# counts; a request that gets an error has changed nothing. Nothing that arrives ends a server. Two exceptions get no
# reply: a frame over the server's limit (ZeroMQ drops that connection) and a peer that doesn't read its replies. Once its
# queue is full they are dropped and counted, and requests for more rows than there is room for are not carried out.

@0xb6ff1d4b7a3c9e52;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("knotwork::ps::wire");

const protocolVersion :UInt16 = 1;

struct Request {
  version @0 :UInt16;
  # protocolVersion of the sender. Another one than the server's: error wrongVersion.

  job @1 :UInt64;
  # Number of the job, drawn at its start and known to all of its processes. It keeps a client of a neighbour's or of
  # yesterday's job from touching this one's rows by mistake (it is no secret: CURVE keeps enemies out).
  # Another one than the server's: error wrongJob.

  client @2 :UInt64;
  # The sender, drawn at random when a client starts. A client stays the same over any number of reconnections.

  id @3 :UInt64;
  # Chosen by the client, never 0, copied into the reply. A request sent again bears the same id.

  union {
    hello @4 :Hello;
    # The first request of a client to each server; a repetition is harmless. Every other request by a client that the
    # server hasn't met gets error unknownClient. No further frames. Reply: hello.

    describe @5 :Void;
    # Asks for the tables and which rows of them lie here. No further frames. Reply: describe.

    pull @6 :Pull;
    # Asks for rows. Frame 1: keys. Reply: rows, with frame 1 in the order of the keys.

    push @7 :Push;
    # Changes rows. Frame 1: keys; frame 2: rows. Reply: pushed or, on request, rows; both say that the change is in
    # the table. A client may send many pushes before the first is answered: waiting for all replies is a flush.

    statistics @8 :Void;
    # Asks for the server's counters. No further frames. Reply: statistics.

    bye @9 :Void;
    # The client is done and forgets its sequence numbers, as does the server. No further frames. Reply: bye.
  }
}

struct Hello {
  configuration @0 :UInt64;
  # Hash of the sender's build and resolved configuration. Another one than the server's: error wrongConfiguration.
}

struct Pull {
  table @0 :UInt16;
  withState @1 :Bool;
  rowFormat @2 :RowFormat;
}

enum RowFormat {
  # Of frame 1 or 2 with rows, in the request and in its reply. Tables hold float32 in either case.
  float32 @0;
  bfloat16 @1;
}

struct Push {
  table @0 :UInt16;

  sequence @1 :UInt64;
  # 1, 2, 3, ... for the pushes of this client to this server. A server applies each number once: a number that it has
  # seen is answered as if it had just been applied. So a push whose reply got lost can be sent again, and is applied
  # exactly once. Numbers may arrive out of order, at most `window` (see HelloReply) beyond the last one before which
  # none is missing; further ahead: error outOfWindow.

  kind @2 :PushKind;
  learningRate @3 :Float32;
  # Only for gradients; finite.

  returnRows @4 :Bool;
  # Reply with the rows as they are after this push (delta: plain rows; deltaWithState: rows with state): one round
  # trip brings a replica up to date.

  rowFormat @5 :RowFormat;
}

enum PushKind {
  delta @0;           # rows += delta
  deltaWithState @1;  # rows and optimizer state += delta; not for adam, whose state can't be added up: unsupported
  gradient @2;        # one step of the table's optimizer for each key
}

struct Reply {
  version @0 :UInt16;
  # protocolVersion of the server.

  id @1 :UInt64;
  # Of the request; 0 if that couldn't be read.

  union {
    error @2 :Error;
    hello @3 :HelloReply;
    describe @4 :List(TablePart);
    rows @5 :Void;        # Frame 1: rows.
    pushed @6 :Void;
    statistics @7 :Statistics;
    bye @8 :Void;
  }
}

struct Error {
  code @0 :ErrorCode;
  text @1 :Text;
  # One line for a person: what was found, what was expected.
}

enum ErrorCode {
  malformed @0;           # frame 0 can't be read, or a wrong number of frames
  wrongVersion @1;
  wrongJob @2;
  wrongConfiguration @3;
  unknownClient @4;
  tooManyClients @5;
  unknownTable @6;
  rowOutOfRange @7;       # a key that this server doesn't own
  wrongFrameSize @8;      # keys no multiple of 8 bytes, or rows not of keys x width values
  tooLarge @9;            # more keys, or a larger reply, than the server's limits allow
  unsupported @10;        # an operation or kind that this server doesn't know or this table doesn't have
  outOfWindow @11;
  internal @12;           # the server's own trouble, such as no memory
}

struct HelloReply {
  maxMessageBytes @0 :UInt64;  # no frame may be longer, in either direction
  window @1 :UInt32;           # see Push.sequence; a client has fewer pushes than this in flight
}

struct TablePart {
  name @0 :Text;
  rowCount @1 :UInt64;    # of the whole table
  firstRow @2 :UInt64;    # here: firstRow .. lastRow - 1
  lastRow @3 :UInt64;
  dim @4 :UInt32;
  optimizer @5 :UInt8;    # 0 sgd, 1 adagrad by row, 2 adam
  epsilon @6 :Float32;
  beta1 @7 :Float32;
  beta2 @8 :Float32;
}

struct Statistics {
  requests @0 :UInt64;          # everything that arrived, errors included
  errors @1 :UInt64;
  pulls @2 :UInt64;
  pushes @3 :UInt64;            # applied
  duplicatePushes @4 :UInt64;   # recognised and not applied again
  rowsPulled @5 :UInt64;
  rowsPushed @6 :UInt64;
  bytesReceived @7 :UInt64;     # of all frames, without ZeroMQ's own framing
  bytesSent @8 :UInt64;
  repliesDropped @9 :UInt64;    # the peer was gone or didn't read
  clients @10 :UInt64;          # said hello and not bye
  errorsByCode @11 :List(UInt64);
  refusedConnections @12 :UInt64;  # of encrypted endpoints: no key, or one of another job
  requestsDropped @13 :UInt64;     # not carried out, since their sender leaves too much unread
}
