using System.Collections.Immutable;

namespace Mallku.Secrets.Stores.Etcd;

/// <summary>etcd's messages, as far as they are used here: their fields by the numbers of etcd's <c>rpc.proto</c> and <c>kv.proto</c>.</summary>
internal static class EtcdProtocol
{
    internal const string
        Range = "etcdserverpb.KV/Range", Txn = "etcdserverpb.KV/Txn", Watch = "etcdserverpb.Watch/Watch",
        Authenticate = "etcdserverpb.Auth/Authenticate", Status = "etcdserverpb.Maintenance/Status";

    /// <summary>Asks for the keys from the first one to before the end; without an end, for the one key.</summary>
    internal static ProtobufWriter RangeOf(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> end = default, long limit = 0, long revision = 0, bool keysOnly = false)
    {
        var request = new ProtobufWriter().Add(1, key);
        if (!end.IsEmpty)
        {
            request.Add(2, end).Add(3, limit);
        }

        return request.Add(4, revision).Add(8, keysOnly);
    }

    internal static ProtobufWriter GetOperation(ProtobufWriter range) => new ProtobufWriter().Add(1, range);

    internal static ProtobufWriter PutOperation(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> value) =>
        new ProtobufWriter().Add(2, new ProtobufWriter().Add(1, key).Add(2, value));

    internal static ProtobufWriter DeleteOperation(ReadOnlyMemory<byte> key) => new ProtobufWriter().Add(3, new ProtobufWriter().Add(1, key));

    internal static ProtobufWriter TxnOperation(ProtobufWriter txn) => new ProtobufWriter().Add(4, txn);

    /// <summary>Demands that a key was last written at a revision; 0 where it must not be there.</summary>
    internal static ProtobufWriter IsAt(ReadOnlyMemory<byte> key, long revision)
    {
        const int equal = 0, modRevision = 2;
        return new ProtobufWriter().Add(1, equal).Add(2, modRevision).Add(3, key).Add(6, revision);
    }

    internal static ProtobufWriter TxnOf(IEnumerable<ProtobufWriter> conditions, IEnumerable<ProtobufWriter> operations)
    {
        var request = new ProtobufWriter();
        foreach (var condition in conditions)
        {
            request.Add(1, condition);
        }

        foreach (var operation in operations)
        {
            request.Add(2, operation);
        }

        return request;
    }

    /// <summary>Asks for the changes from now on, in pieces where they are many at once.</summary>
    internal static ProtobufWriter WatchOf(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> end) =>
        new ProtobufWriter().Add(1, new ProtobufWriter().Add(1, key).Add(2, end).Add(8, true));

    internal static ProtobufWriter AuthenticateOf(string user, ReadOnlyMemory<byte> password) => new ProtobufWriter().Add(1, user).Add(2, password);

    internal static EtcdPage ReadRange(ReadOnlyMemory<byte> message)
    {
        var found = new List<EtcdRecord>();
        long revision = 0;
        var hasMore = false;
        for (var reader = new ProtobufReader(message); reader.Next();)
        {
            switch (reader.Field)
            {
                case 1:
                    revision = ReadRevision(reader.Bytes);
                    break;
                case 2:
                    found.Add(ReadRecord(reader.Bytes));
                    break;
                case 3:
                    hasMore = reader.Number != 0;
                    break;
            }
        }

        return new(found, hasMore, revision);
    }

    /// <summary>Whether the conditions held, and what the operations that ask for keys have found.</summary>
    internal static (bool IsDone, IReadOnlyList<EtcdPage> Found) ReadTxn(ReadOnlyMemory<byte> message)
    {
        var isDone = false;
        var found = new List<EtcdPage>();
        for (var reader = new ProtobufReader(message); reader.Next();)
        {
            if (reader.Field == 2)
            {
                isDone = reader.Number != 0;
            }
            else if (reader.Field == 3)
            {
                for (var answer = new ProtobufReader(reader.Bytes); answer.Next();)
                {
                    if (answer.Field == 1)
                    {
                        found.Add(ReadRange(answer.Bytes));
                    }
                }
            }
        }

        return (isDone, found);
    }

    internal static EtcdChanges ReadWatch(ReadOnlyMemory<byte> message)
    {
        var changes = new EtcdChanges();
        var keys = ImmutableArray.CreateBuilder<ReadOnlyMemory<byte>>();
        for (var reader = new ProtobufReader(message); reader.Next();)
        {
            changes = reader.Field switch
            {
                3 => changes with { IsCreated = reader.Number != 0 },
                4 => changes with { IsEnded = reader.Number != 0 },
                5 => changes with { IsCompacted = reader.Number != 0 },
                6 => changes with { Reason = reader.Text },
                _ => changes,
            };
            if (reader.Field == 11)
            {
                for (var change = new ProtobufReader(reader.Bytes); change.Next();)
                {
                    if (change.Field == 2)
                    {
                        keys.Add(ReadRecord(change.Bytes).Key);
                    }
                }
            }
        }

        return changes with { Keys = keys.ToImmutable() };
    }

    internal static string ReadToken(ReadOnlyMemory<byte> message) => ReadText(message, field: 2);

    internal static string ReadVersion(ReadOnlyMemory<byte> message) => ReadText(message, field: 2);

    private static string ReadText(ReadOnlyMemory<byte> message, int field)
    {
        var text = "";
        for (var reader = new ProtobufReader(message); reader.Next();)
        {
            text = reader.Field == field ? reader.Text : text;
        }

        return text;
    }

    private static EtcdRecord ReadRecord(ReadOnlyMemory<byte> message)
    {
        var record = new EtcdRecord(default, default, 0);
        for (var reader = new ProtobufReader(message); reader.Next();)
        {
            record = reader.Field switch
            {
                1 => record with { Key = reader.Bytes },
                3 => record with { Revision = reader.Number },
                5 => record with { Value = reader.Bytes },
                _ => record,
            };
        }

        return record;
    }

    private static long ReadRevision(ReadOnlyMemory<byte> header)
    {
        long revision = 0;
        for (var reader = new ProtobufReader(header); reader.Next();)
        {
            revision = reader.Field == 3 ? reader.Number : revision;
        }

        return revision;
    }
}

/// <summary>A key with its value, and the revision of the cluster that wrote it last.</summary>
internal readonly record struct EtcdRecord(ReadOnlyMemory<byte> Key, ReadOnlyMemory<byte> Value, long Revision);

/// <summary>What was found of a range, at which revision, and whether there is more.</summary>
internal sealed record EtcdPage(IReadOnlyList<EtcdRecord> Found, bool HasMore, long Revision);

/// <summary>One message of a watch.</summary>
internal readonly record struct EtcdChanges(bool IsCreated, bool IsEnded, bool IsCompacted, string Reason, ImmutableArray<ReadOnlyMemory<byte>> Keys);
