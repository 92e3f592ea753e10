using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using Mallku.Secrets.Files;

namespace Mallku.Secrets.Storage;

/// <summary>
/// The newest generation of each of a store's secrets that this machine has seen, so that one which was put back behind it
/// is noticed. A file of fixed records, each the secret's id (16 bytes), a generation (8 bytes, big-endian) and a checksum of
/// both (4 bytes); the largest generation counts. Only ever appended to, under a lock, and written anew when most of it is
/// outdated. Safe for concurrent use, by several processes too: what one has noted, the others go by.
/// </summary>
/// <remarks>
/// It is not flushed: what a loss of power takes from it weakens the next look, and loses nothing. What it leaves in the place
/// of a record, such as zeros, has no such checksum, and counts for nothing.
/// </remarks>
internal sealed class SeenGenerations(string path)
{
    private const int IdLength = 16, CheckedLength = IdLength + sizeof(long), RecordLength = CheckedLength + sizeof(uint);
    private const int FewRecords = 1024;
    private readonly Lock _gate = new();
    private readonly Dictionary<UInt128, long> _newest = [];
    private readonly byte[] _native = Posix.ToNative(path);

    // of which file, and how much of it, was read
    private ulong _inode;
    private long _read;

    internal string Path => path;

    /// <summary>What to do where what was seen is gone for good, on each machine that has seen it: all that it knows of the store goes at once.</summary>
    internal string WayOn => $"where that is gone for good, as after a backup was put back, let this machine forget what it has seen: rm {PrivateFile.ShellQuote(System.IO.Path.GetDirectoryName(path)!)}/seen*";

    /// <summary>The ids of which something was seen.</summary>
    /// <exception cref="SecretsException">The file can't be read.</exception>
    internal IReadOnlyList<string> Ids
    {
        get
        {
            lock (_gate)
            {
                ReadOn();
                return [.. _newest.Keys.Select(static id => id.ToString("x32", CultureInfo.InvariantCulture))];
            }
        }
    }

    /// <summary>What was seen of a secret; 0 for nothing, as of what has no secret's id.</summary>
    /// <param name="id">32 hexadecimal digits.</param>
    /// <exception cref="SecretsException">The file can't be read.</exception>
    internal long Get(string id)
    {
        lock (_gate)
        {
            ReadOn();
            return TryParse(id, out var key) ? _newest.GetValueOrDefault(key) : 0;
        }
    }

    /// <summary>Notes that a generation was seen.</summary>
    /// <exception cref="SecretsException">The file can't be written.</exception>
    internal void Note(string id, long generation)
    {
        lock (_gate)
        {
            // most often it is what was seen before
            if (!TryParse(id, out var key) || _newest.GetValueOrDefault(key) >= generation || Get(id) >= generation)
            {
                return;
            }

            Span<byte> record = stackalloc byte[RecordLength];
            Write(record, key, generation);
            _newest[key] = generation;
            try
            {
                Append(record);
            }
            catch (PosixException e)
            {
                throw e.Error is Posix.ReadOnly or Posix.AccessDenied
                    ? new SecretsException(
                        $"'{path}' can't be written ({e.Message}): what this machine has seen of the store can't be noted; nothing was changed",
                        "make its folder writable for this user, or use another by MALLKU_STATE_DIR",
                        e)
                    : e.ToWriteError(path);
            }
        }
    }

    private void Append(ReadOnlySpan<byte> record)
    {
        var descriptor = OpenLocked();
        try
        {
            // a record that a kill has cut off is written over
            var facts = Posix.Stat(descriptor, path);
            var end = facts.Size - (facts.Size % RecordLength);
            Posix.Seek(descriptor, end, path);
            Posix.WriteAll(descriptor, record, path);
            if (facts.Inode == _inode && end == _read)
            {
                // nobody has noted anything meanwhile, and this one knows its own
                _read += RecordLength;
            }
        }
        finally
        {
            Posix.Release(descriptor);
        }
    }

    // whoever waited for a file that was written anew meanwhile must not append to the one before
    private int OpenLocked()
    {
        while (true)
        {
            var descriptor = Posix.OpenOrCreate(path);
            try
            {
                Posix.Lock(descriptor, path);
                if (Posix.TryStat(_native, path, out var there) && there.Inode == Posix.Stat(descriptor, path).Inode)
                {
                    return descriptor;
                }
            }
            catch (PosixException)
            {
                Posix.Close(descriptor);
                throw;
            }

            Posix.Release(descriptor);
        }
    }

    // what this process does not know yet
    private void ReadOn()
    {
        try
        {
            if (!Posix.TryStat(_native, path, out var facts))
            {
                Forget();
                return;
            }

            if (facts.Inode == _inode && facts.Size < _read)
            {
                Forget();
            }

            if (facts.Inode == _inode && facts.Size < _read + RecordLength)
            {
                return;
            }

            PrivateFile.Require(facts, path);
            var isNew = facts.Inode != _inode;
            var count = Read(isNew ? 0 : _read);
            if (isNew && count > FewRecords && count > 2 * _newest.Count)
            {
                Compact();
            }
        }
        catch (PosixException e)
        {
            throw new VaultOpenException(e.Message, "look at the file and at the folder's mode", e);
        }
    }

    // somebody has let this machine forget it
    private void Forget()
    {
        if (_inode != 0)
        {
            _newest.Clear();
            (_inode, _read) = (0, 0);
        }
    }

    private long Read(long from)
    {
        var descriptor = Posix.OpenRead(path);
        try
        {
            var facts = Posix.Stat(descriptor, path);
            var bytes = new byte[Math.Max(0, facts.Size - from)];
            Posix.Seek(descriptor, from, path);
            var count = Posix.ReadAll(descriptor, bytes, path) / RecordLength;
            for (var i = 0; i < count; i++)
            {
                var record = bytes.AsSpan(i * RecordLength, RecordLength);
                if (BinaryPrimitives.ReadUInt32BigEndian(record[CheckedLength..]) == Check(record))
                {
                    var key = BinaryPrimitives.ReadUInt128BigEndian(record);
                    _newest[key] = Math.Max(_newest.GetValueOrDefault(key), BinaryPrimitives.ReadInt64BigEndian(record[IdLength..]));
                }
            }

            (_inode, _read) = (facts.Inode, from + (count * RecordLength));
            return count;
        }
        finally
        {
            Posix.Close(descriptor);
        }
    }

    private void Compact()
    {
        var descriptor = OpenLocked();
        try
        {
            // others may have noted something until the lock was there
            Read(from: 0);
            var bytes = new byte[_newest.Count * RecordLength];
            var at = 0;
            foreach (var (key, generation) in _newest)
            {
                Write(bytes.AsSpan(at), key, generation);
                at += RecordLength;
            }

            FileReplacement.Overwrite(path, bytes);
        }
        finally
        {
            Posix.Release(descriptor);
        }
    }

    private static void Write(Span<byte> record, UInt128 key, long generation)
    {
        BinaryPrimitives.WriteUInt128BigEndian(record, key);
        BinaryPrimitives.WriteInt64BigEndian(record[IdLength..], generation);
        BinaryPrimitives.WriteUInt32BigEndian(record[CheckedLength..], Check(record));
    }

    // against what was not written whole, not against somebody: CRC-32C
    private static uint Check(ReadOnlySpan<byte> record)
    {
        var check = uint.MaxValue;
        for (var at = 0; at < CheckedLength; at += sizeof(ulong))
        {
            check = BitOperations.Crc32C(check, BinaryPrimitives.ReadUInt64LittleEndian(record[at..]));
        }

        return ~check;
    }

    private static bool TryParse(string id, out UInt128 key) => UInt128.TryParse(id, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out key);
}
