using System.Runtime.InteropServices;

namespace Mallku.Secrets.Files;

/// <summary>
/// The library's one place of native interop: what durable files, locks and owners need and the class library does not
/// offer. A call that fails throws <see cref="PosixException"/> with the errno, or says so in its result.
/// </summary>
internal static partial class Posix
{
    internal const int NoEntry = 2, Interrupted = 4, AccessDenied = 13, Exists = 17, NotDirectory = 20, FolderInPlace = 21, NoSpace = 28, ReadOnly = 30;
    internal static readonly int WouldBlock = OperatingSystem.IsMacOS() ? 35 : 11;
    internal static readonly int LinkInPlace = OperatingSystem.IsMacOS() ? 62 : 40;
    internal static readonly int NotSupported = OperatingSystem.IsMacOS() ? 45 : 95;
    internal static readonly int QuotaExceeded = OperatingSystem.IsMacOS() ? 69 : 122;
    internal static readonly int NoLocks = OperatingSystem.IsMacOS() ? 77 : 37;

    private static readonly bool Mac = OperatingSystem.IsMacOS();

    private const int OwnerReadWrite = 0b110_000_000, OwnerAll = 0b111_000_000, AllRead = 0b110_100_100;
    private static readonly int CreateNewFlags = Mac ? 0x0001 | 0x0200 | 0x0800 | 0x0100_0000 : 0x0001 | 0x0040 | 0x0080 | 0x0008_0000;
    private static readonly int DoNotFollow = Mac ? 0x0100 : RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x8000 : 0x0002_0000;
    private static readonly int OpenOwnFlags = (Mac ? 0x0002 | 0x0100_0000 : 0x0002 | 0x0008_0000) | DoNotFollow;
    private static readonly int CreateOwnFlags = OpenOwnFlags | (Mac ? 0x0200 | 0x0800 : 0x0040 | 0x0080);
    private static readonly int OpenReadFlags = Mac ? 0x0100_0000 | 0x0004 : 0x0008_0000 | 0x0800; // and O_NONBLOCK: a fifo can't hang us

    /// <summary>The user that this process acts as.</summary>
    internal static uint EffectiveUser => geteuid();

    /// <summary>What <c>stat</c> tells of a path, following symbolic links; false when there is nothing.</summary>
    internal static bool TryStat(string path, out FileFacts facts) => TryStat(ToNative(path), path, out facts);

    /// <summary>The same for a path that is already zero-terminated UTF-8: allocates nothing.</summary>
    internal static bool TryStat(ReadOnlySpan<byte> nativePath, string path, out FileFacts facts)
    {
        var error = Stat(nativePath, out facts);
        return error switch
        {
            0 => true,
            NoEntry or NotDirectory => false,
            _ => throw new PosixException("stat", path, error),
        };
    }

    /// <summary>Whether there is a symbolic link, wherever it leads.</summary>
    internal static bool IsLink(string path) => new FileInfo(path).LinkTarget is not null;

    /// <summary>Whether there is a folder itself, and no link to one.</summary>
    internal static bool IsFolder(string path) => Directory.Exists(path) && !IsLink(path);

    internal static byte[] ToNative(string path)
    {
        var length = System.Text.Encoding.UTF8.GetByteCount(path);
        var native = new byte[length + 1];
        System.Text.Encoding.UTF8.GetBytes(path, native);
        return native;
    }

    internal static int OpenRead(string path) => Open(path, OpenReadFlags, 0);

    /// <summary>Opens for reading, or returns -1 when there is no such file.</summary>
    internal static int TryOpenRead(string path)
    {
        try
        {
            return OpenRead(path);
        }
        catch (PosixException e) when (e.Error is NoEntry or NotDirectory)
        {
            return -1;
        }
    }

    /// <summary>Creates a file that must not exist, 0600, or 0644 for what everybody may read.</summary>
    internal static int CreateNew(string path, bool isPublic = false)
    {
        var mode = isPublic ? AllRead : OwnerReadWrite;
        var descriptor = Open(path, CreateNewFlags, mode);
        SetMode(descriptor, mode, path, isPublic);
        return descriptor;
    }

    /// <summary>Opens a file for reading and writing, and creates it 0600; never follows a symbolic link.</summary>
    internal static int OpenOrCreate(string path)
    {
        while (true)
        {
            // most often it is there
            var descriptor = TryOpen(path, OpenOwnFlags, 0, out var error);
            if (descriptor < 0 && error == NoEntry)
            {
                descriptor = TryOpen(path, CreateOwnFlags, OwnerReadWrite, out error);
                if (descriptor < 0 && error == Exists)
                {
                    // another has created it just now
                    continue;
                }

                if (descriptor >= 0)
                {
                    SetMode(descriptor, OwnerReadWrite, path, isPublic: false);
                }
            }

            return descriptor >= 0 ? descriptor : throw new PosixException("open", path, error);
        }
    }

    // whatever the umask took away
    private static void SetMode(int descriptor, int mode, string path, bool isPublic)
    {
        // a file system that has no modes is good enough for what is public
        if (fchmod(descriptor, (uint)mode) != 0 && !isPublic)
        {
            var error = Marshal.GetLastPInvokeError();
            Close(descriptor);
            throw new PosixException("change the mode of", path, error);
        }
    }

    internal static void Close(int descriptor) => _ = close(descriptor);

    internal static void WriteAll(int descriptor, ReadOnlySpan<byte> bytes, string path)
    {
        while (bytes.Length > 0)
        {
            var written = write(descriptor, bytes, (nuint)bytes.Length);
            if (written >= 0)
            {
                bytes = bytes[(int)written..];
            }
            else if (Marshal.GetLastPInvokeError() is var error && error != Interrupted)
            {
                throw new PosixException("write", path, error);
            }
        }
    }

    /// <summary>Reads until the buffer is full or the file ends.</summary>
    internal static int ReadAll(int descriptor, Span<byte> buffer, string path)
    {
        var total = 0;
        while (total < buffer.Length)
        {
            var count = read(descriptor, buffer[total..], (nuint)(buffer.Length - total));
            if (count == 0)
            {
                break;
            }

            if (count > 0)
            {
                total += (int)count;
            }
            else if (Marshal.GetLastPInvokeError() is var error && error != Interrupted)
            {
                throw new PosixException("read", path, error);
            }
        }

        return total;
    }

    /// <summary>Facts of an open file.</summary>
    internal static FileFacts Stat(int descriptor, string path)
    {
        var error = Stat(descriptor, out var facts);
        return error == 0 ? facts : throw new PosixException("stat", path, error);
    }

    internal static void Truncate(int descriptor, string path, long length = 0)
    {
        while (ftruncate(descriptor, (nint)length) != 0)
        {
            if (Marshal.GetLastPInvokeError() is var error && error != Interrupted)
            {
                throw new PosixException("truncate", path, error);
            }
        }
    }

    internal static void Rewind(int descriptor, string path) => Seek(descriptor, 0, path);

    internal static void Seek(int descriptor, long position, string path)
    {
        if (lseek(descriptor, (nint)position, 0) < 0)
        {
            throw new PosixException("seek", path, Marshal.GetLastPInvokeError());
        }
    }

    internal static void Flush(int descriptor, string path)
    {
        while (fsync(descriptor) != 0)
        {
            if (Marshal.GetLastPInvokeError() is var error && error != Interrupted)
            {
                throw new PosixException("flush", path, error);
            }
        }
    }

    /// <summary>Takes the exclusive lock without waiting; false when somebody else holds it.</summary>
    internal static bool TryLock(int descriptor, string path)
    {
        const int exclusive = 2, withoutWaiting = 4;
        while (flock(descriptor, exclusive | withoutWaiting) != 0)
        {
            var error = Marshal.GetLastPInvokeError();
            if (error == WouldBlock)
            {
                return false;
            }

            if (error != Interrupted)
            {
                throw new PosixException("lock", path, error);
            }
        }

        return true;
    }

    /// <summary>Takes the exclusive lock, however long it takes: for a thread that nobody waits for without a limit.</summary>
    internal static void Lock(int descriptor, string path)
    {
        const int exclusive = 2;
        while (flock(descriptor, exclusive) != 0)
        {
            if (Marshal.GetLastPInvokeError() is var error && error != Interrupted)
            {
                throw new PosixException("lock", path, error);
            }
        }
    }

    /// <summary>
    /// Lets the lock go and closes. To close alone leaves it to a program that was begun meanwhile, and has a copy of the
    /// descriptor, until it runs.
    /// </summary>
    internal static void Release(int descriptor)
    {
        const int unlock = 8;
        _ = flock(descriptor, unlock);
        Close(descriptor);
    }

    /// <summary>Asks whether this process may write a file, or make files in a folder; a read-only file system may not be written.</summary>
    internal static void RequireWritable(string path)
    {
        const int mayWrite = 2;
        Check(Access(path, mayWrite), "open", path);
    }

    /// <summary>Whether this process may list a folder and get at what is in it.</summary>
    internal static bool MayEnter(string path)
    {
        const int mayRead = 4, mayEnter = 1;
        return Access(path, mayRead | mayEnter) == 0;
    }

    private static int Access(string path, int asked) => faccessat(Mac ? -2 : -100, path, asked, Mac ? 0x10 : 0x200);

    /// <summary>
    /// Whether the file system has a free block and a free inode for this user; true also where it does not say. A quota is
    /// not seen.
    /// </summary>
    internal static unsafe bool HasSpace(string path)
    {
        var b = stackalloc byte[256];
        if (IntPtr.Size != 8 || statvfs(path, b) != 0)
        {
            return true;
        }

        // struct statvfs of 64-bit Linux, and of macOS: all, free, and free without what is reserved for root
        var isRoot = EffectiveUser == 0;
        var (blocks, freeBlocks, inodes, freeInodes) = Mac
            ? (*(uint*)(b + 16), *(uint*)(b + (isRoot ? 20 : 24)), *(uint*)(b + 28), *(uint*)(b + (isRoot ? 32 : 36)))
            : (*(ulong*)(b + 16), *(ulong*)(b + (isRoot ? 24 : 32)), *(ulong*)(b + 40), *(ulong*)(b + (isRoot ? 48 : 56)));
        return (blocks == 0 || freeBlocks > 0) && (inodes == 0 || freeInodes > 0);
    }

    internal static void Rename(string from, string to) => Check(rename(from, to), "rename", from);

    /// <summary>Swaps two files in one step; false where the file system or the C library can't.</summary>
    internal static bool TryExchange(string one, string other)
    {
        const int currentFolder = -100, exchange = 2, invalid = 22, notImplemented = 38;
        try
        {
            var result = Mac ? renamex_np(one, other, exchange) : renameat2(currentFolder, one, currentFolder, other, exchange);
            if (result == 0)
            {
                return true;
            }

            var error = Marshal.GetLastPInvokeError();
            return error == invalid || error == notImplemented || error == NotSupported
                ? false
                : throw new PosixException("rename", one, error);
        }
        catch (EntryPointNotFoundException)
        {
            return false;
        }
    }

    /// <summary>Removes a file; false when there is none.</summary>
    internal static bool Unlink(string path)
    {
        if (unlink(path) == 0)
        {
            return true;
        }

        var error = Marshal.GetLastPInvokeError();
        return error == NoEntry ? false : throw new PosixException("remove", path, error);
    }

    /// <summary>Creates a folder 0700, whatever the umask.</summary>
    internal static void CreateFolder(string path)
    {
        Check(mkdir(path, OwnerAll), "create folder", path);
        Check(chmod(path, OwnerAll), "change the mode of", path);
    }

    /// <summary>
    /// The bytes of a variable as the C library has it now, a native <c>setenv</c> included; empty and false when it is
    /// not set. The span is valid until the next change of the environment: compare or copy it at once.
    /// </summary>
    internal static unsafe bool TryGetVariable(ReadOnlySpan<byte> nativeName, out ReadOnlySpan<byte> value)
    {
        fixed (byte* name = nativeName)
        {
            var pointer = getenv(name);
            value = pointer is null ? default : MemoryMarshal.CreateReadOnlySpanFromNullTerminated(pointer);
            return pointer is not null;
        }
    }

    private static int Open(string path, int flags, int mode) =>
        TryOpen(path, flags, mode, out var error) is >= 0 and var descriptor ? descriptor : throw new PosixException("open", path, error);

    private static int TryOpen(string path, int flags, int mode, out int error)
    {
        int descriptor;
        do
        {
            descriptor = open(path, flags, mode);
            error = descriptor < 0 ? Marshal.GetLastPInvokeError() : 0;
        }
        while (error == Interrupted);
        return descriptor;
    }

    private static unsafe int Stat(ReadOnlySpan<byte> nativePath, out FileFacts facts)
    {
        const int currentFolder = -100, typeModeOwnerSizeTimesInode = 0x7ff;
        var buffer = stackalloc byte[256];
        fixed (byte* path = nativePath)
        {
            var result = Mac ? stat(path, buffer) : statx(currentFolder, path, 0, typeModeOwnerSizeTimesInode, buffer);
            facts = result == 0 ? Parse(buffer) : default;
            return result == 0 ? 0 : Marshal.GetLastPInvokeError();
        }
    }

    private static unsafe int Stat(int descriptor, out FileFacts facts)
    {
        const int emptyPath = 0x1000, typeModeOwnerSizeTimesInode = 0x7ff;
        var buffer = stackalloc byte[256];
        byte empty = 0;
        var result = Mac ? fstat(descriptor, buffer) : statx(descriptor, &empty, emptyPath, typeModeOwnerSizeTimesInode, buffer);
        facts = result == 0 ? Parse(buffer) : default;
        return result == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    // struct statx of Linux (include/uapi/linux/stat.h), the same on every architecture; struct stat of 64-bit macOS
    private static unsafe FileFacts Parse(byte* b) => Mac
        ? new FileFacts(
            Mode: *(ushort*)(b + 4), Owner: *(uint*)(b + 16), Inode: *(ulong*)(b + 8), Size: *(long*)(b + 96),
            ModifiedSeconds: *(long*)(b + 48), ModifiedNanoseconds: *(long*)(b + 56),
            ChangedSeconds: *(long*)(b + 64), ChangedNanoseconds: *(long*)(b + 72))
        : new FileFacts(
            Mode: *(ushort*)(b + 28), Owner: *(uint*)(b + 20), Inode: *(ulong*)(b + 32), Size: *(long*)(b + 40),
            ModifiedSeconds: *(long*)(b + 112), ModifiedNanoseconds: *(uint*)(b + 120),
            ChangedSeconds: *(long*)(b + 96), ChangedNanoseconds: *(uint*)(b + 104));

    private static void Check(int result, string operation, string path)
    {
        if (result < 0)
        {
            throw new PosixException(operation, path, Marshal.GetLastPInvokeError());
        }
    }
}
