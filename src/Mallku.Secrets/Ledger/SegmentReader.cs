using Mallku.Secrets.Files;

namespace Mallku.Secrets.Ledger;

/// <summary>
/// Reads the lines of a segment in large blocks, without an allocation per line. What another program is still writing
/// is never read: the caller says how far the entries go. Not for several threads.
/// </summary>
internal sealed class SegmentReader : IDisposable
{
    private const int BlockLength = 1 << 21;

    // the byte before each line is free, for who hashes it: a newline that was read, or this one
    private const int Lead = 1;
    private readonly string _path;
    private readonly int _descriptor;
    private readonly byte[] _buffer;
    private readonly List<Range> _lines = [];
    private long _blockStart, _left;
    private int _filled = Lead, _next = Lead;
    private bool _isDisposed;

    private SegmentReader(string path, int descriptor, long size, long from, long to)
    {
        _path = path;
        _descriptor = descriptor;
        Size = size;
        _blockStart = from;
        _left = Math.Max(0, Math.Min(size, to) - from);
        _buffer = new byte[Math.Min(BlockLength, _left) + Lead];
    }

    /// <summary>The file's length when it was opened.</summary>
    internal long Size { get; }

    /// <summary>How many lines the block has.</summary>
    internal int Count => _lines.Count;

    /// <summary>Whether the block's last line has no newline: the bytes end within it, or it is longer than any entry.</summary>
    internal bool EndsWithin { get; private set; }

    /// <summary>A line of the block, without its newline.</summary>
    internal ReadOnlySpan<byte> this[int line] => _buffer.AsSpan(_lines[line]);

    /// <summary>Opens a segment, or returns null where there is none.</summary>
    /// <param name="path">The file.</param>
    /// <param name="from">The byte at which the first line to be read begins.</param>
    /// <param name="to">The byte behind the last one.</param>
    /// <exception cref="IOException">It can't be opened, or is no file.</exception>
    internal static SegmentReader? TryOpen(string path, long from = 0, long to = long.MaxValue)
    {
        var descriptor = Posix.TryOpenRead(path);
        if (descriptor < 0)
        {
            return null;
        }

        try
        {
            var facts = Posix.Stat(descriptor, path);
            if (!facts.IsRegularFile)
            {
                throw new IOException($"'{path}' is no file");
            }

            Posix.Seek(descriptor, from, path);
            return new SegmentReader(path, descriptor, facts.Size, from, to);
        }
        catch
        {
            Posix.Close(descriptor);
            throw;
        }
    }

    /// <summary>A line with the byte before it, which is the caller's to change.</summary>
    internal Span<byte> WithLead(int line) => _buffer.AsSpan((_lines[line].Start.Value - Lead)..(_lines[line].End.Value));

    /// <summary>Where in the file the line after this one begins.</summary>
    internal long GetOffsetBehind(int line) => _blockStart + _lines[line].End.Value + 1 - Lead;

    /// <summary>Reads the next block; false where there is none.</summary>
    internal bool ReadBlock()
    {
        var kept = _filled - _next;
        _buffer.AsSpan(_next, kept).CopyTo(_buffer.AsSpan(Lead));
        _blockStart += _next - Lead;
        _filled = Lead + kept;
        _next = Lead;
        _lines.Clear();
        var read = Posix.ReadAll(_descriptor, _buffer.AsSpan(_filled, (int)Math.Min(_left, _buffer.Length - _filled)), _path);
        _filled += read;
        _left = read == 0 ? 0 : _left - read;
        while (_buffer.AsSpan(_next, _filled - _next).IndexOf((byte)'\n') is var length and >= 0)
        {
            _lines.Add(_next..(_next + length));
            _next += length + 1;
        }

        if (_next < _filled && (_left == 0 || _lines.Count == 0))
        {
            EndsWithin = true;
            _lines.Add(_next.._filled);
            (_next, _left) = (_filled, 0);
        }

        return _lines.Count > 0;
    }

    public void Dispose()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            Posix.Close(_descriptor);
        }
    }
}
