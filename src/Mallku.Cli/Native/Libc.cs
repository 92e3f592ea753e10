using System.Runtime.InteropServices;

namespace Mallku.Cli.Native;

/// <summary>Every native function that the command calls, as C declares it; the rooms beside this file give them meaning.</summary>
internal static unsafe partial class Libc
{
    internal const int Interrupted = 4, TooBig = 7, AccessDenied = 13, NoEntry = 2, NotDirectory = 20, BrokenPipe = 32;

    internal const short Readable = 1, Writable = 4;

    internal static readonly int WouldBlock = OperatingSystem.IsMacOS() ? 35 : 11;

    internal static int Error => Marshal.GetLastPInvokeError();

    internal static string Describe(int error) => Marshal.GetPInvokeErrorMessage(error);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    internal static partial nint Write(int descriptor, byte* bytes, nint count);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    internal static partial nint Read(int descriptor, byte* bytes, nint count);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "close")]
    internal static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "isatty")]
    internal static partial int IsTerminal(int descriptor);

    [LibraryImport("libc", EntryPoint = "ioctl")]
    internal static partial int Control(int descriptor, nuint request, void* argument);

    [LibraryImport("libc", EntryPoint = "poll")]
    internal static partial int Poll(void* descriptors, nuint count, int milliseconds);

    [LibraryImport("libc", EntryPoint = "tcgetattr")]
    internal static partial int GetTerminalSettings(int descriptor, byte* settings);

    [LibraryImport("libc", EntryPoint = "tcsetattr")]
    internal static partial int SetTerminalSettings(int descriptor, int when, byte* settings);

    [LibraryImport("libc", EntryPoint = "signal")]
    internal static partial nint SetSignalHandler(int signal, nint handler);

    [LibraryImport("libc", EntryPoint = "execvpe", SetLastError = true)]
    internal static partial int Execute(byte* file, byte** arguments, byte** environment);

    [LibraryImport("mallku_native", EntryPoint = "mallku_restore_inherited")]
    internal static partial void RestoreInherited();

    [LibraryImport("mallku_native", EntryPoint = "mallku_environment")]
    internal static partial byte** GetEnvironment();

    [LibraryImport("mallku_native", EntryPoint = "mallku_start_openssl_lean")]
    internal static partial void StartOpenSslLean();

    [LibraryImport("mallku_native", EntryPoint = "mallku_find_certificates")]
    internal static partial void FindCertificates();
}
