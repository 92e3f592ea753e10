using System.Buffers.Binary;
using Mallku.Secrets.Files;

namespace Mallku.Secrets.Storage;

/// <summary>
/// The newest generation of each of a store's secrets that this machine has seen, so that one which was put back behind it
/// is noticed. A file of fixed records, each the secret's id (16 bytes) and a generation (8 bytes, big-endian); the largest
/// counts. Only ever appended to, under a lock, and written anew when most of it is outdated. Safe for concurrent use, by
/// several processes too.
/// </summary>
/// <remarks>It is not flushed: what a loss of power takes from it weakens the next look, and loses nothing.</remarks>
internal sealed class SeenGenerations(string path)
{
    private const int IdLength = 16, RecordLength = IdLength + sizeof(long);
    private const int FewRecords = 1024;
    private readonly Lock _gate = new();
    private readonly Dictionary<UInt128, long> _newest = [];
    private long _read;

    internal string Path => path;

    /// <summary>The ids of which something was seen.</summary>
    /// <exception cref="SecretsException">The file can't be read.</exception>
    internal IReadOnlyList<string> Ids
    {
        get
        {
            lock (_gate)
            {
                if (_read == 0)
                {
                    ReadOn();
                }

                return [.. _newest.Keys.Select(static id => id.ToString("x32", System.Globalization.CultureInfo.InvariantCulture))];
            }
        }
    }

    /// <summary>What was seen of a secret; 0 for nothing.</summary>
    /// <param name="id">32 hexadecimal digits.</param>
    /// <exception cref="SecretsException">The file can't be read.</exception>
    internal long Get(string id)
    {
        lock (_gate)
        {
            if (_read == 0)
            {
                ReadOn();
            }

            return _newest.GetValueOrDefault(Parse(id));
        }
    }

    /// <summary>The same, with what other processes have noted by now.</summary>
    /// <exception cref="SecretsException">The file can't be read.</exception>
    internal long GetNow(string id)
    {
        lock (_gate)
        {
            ReadOn();
            return Get(id);
        }
    }

    /// <summary>Notes that a generation was seen.</summary>
    /// <exception cref="SecretsException">The file can't be written.</exception>
    internal void Note(string id, long generation)
    {
        lock (_gate)
        {
            if (Get(id) >= generation)
            {
                return;
            }

            var key = Parse(id);
            Span<byte> record = stackalloc byte[RecordLength];
            BinaryPrimitives.WriteUInt128BigEndian(record, key);
            BinaryPrimitives.WriteInt64BigEndian(record[IdLength..], generation);
            _newest[key] = generation;
            try
            {
                Append(record);
            }
            catch (PosixException e)
            {
                throw e.ToWriteError(path);
            }
        }
    }

    private void Append(ReadOnlySpan<byte> record)
    {
        var descriptor = Posix.OpenOrCreate(path);
        try
        {
            Posix.Lock(descriptor, path);
            var length = Posix.Stat(descriptor, path).Size;

            // a record that a kill has cut off is written over
            Posix.Seek(descriptor, length - (length % RecordLength), path);
            Posix.WriteAll(descriptor, record, path);
        }
        finally
        {
            Posix.Close(descriptor);
        }
    }

    private void ReadOn()
    {
        var bytes = PrivateFile.Read(path, out _) ?? [];
        var count = bytes.Length / RecordLength;
        for (var i = 0; i < count; i++)
        {
            var record = bytes.AsSpan(i * RecordLength, RecordLength);
            var key = BinaryPrimitives.ReadUInt128BigEndian(record);
            _newest[key] = Math.Max(_newest.GetValueOrDefault(key), BinaryPrimitives.ReadInt64BigEndian(record[IdLength..]));
        }

        _read = Math.Max(1, bytes.Length);
        if (count > FewRecords && count > 2 * _newest.Count)
        {
            Compact();
        }
    }

    // what another process appends meanwhile is seen again when it is read again
    private void Compact()
    {
        var bytes = new byte[_newest.Count * RecordLength];
        var at = 0;
        foreach (var (key, generation) in _newest)
        {
            BinaryPrimitives.WriteUInt128BigEndian(bytes.AsSpan(at), key);
            BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(at + IdLength), generation);
            at += RecordLength;
        }

        FileReplacement.Overwrite(path, bytes);
    }

    private static UInt128 Parse(string id) => UInt128.Parse(id, System.Globalization.NumberStyles.AllowHexSpecifier, System.Globalization.CultureInfo.InvariantCulture);
}
