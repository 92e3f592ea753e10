using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mallku.Bench.Stores;

/// <summary>
/// A file that gets lines of one length, each on the disk when the call returns: a write and <c>fdatasync</c>, with which the
/// system lets callers at the same time share a flush.
/// </summary>
internal sealed partial class DurableLines(string path, int length) : IDisposable
{
    private const int WriteOnly = 0x1, Create = 0x40, Append = 0x400, ForOwner = 0x180;
    private readonly SafeFileHandle _file = Require(open(path, WriteOnly | Create | Append, ForOwner));
    private readonly byte[] _line = [.. Enumerable.Repeat((byte)'x', length - 1), (byte)'\n'];

    internal ValueTask AddAsync()
    {
        if (write(_file, _line, (nuint)_line.Length) != _line.Length || fdatasync(_file) != 0)
        {
            throw new IOException($"'{path}' can't be written ({Marshal.GetLastPInvokeErrorMessage()}).");
        }

        return ValueTask.CompletedTask;
    }

    public void Dispose() => _file.Dispose();

    private static SafeFileHandle Require(SafeFileHandle opened) => opened.IsInvalid ? throw new IOException(Marshal.GetLastPInvokeErrorMessage()) : opened;

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial SafeFileHandle open(string path, int flags, int mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint write(SafeFileHandle file, byte[] bytes, nuint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fdatasync(SafeFileHandle file);
}
