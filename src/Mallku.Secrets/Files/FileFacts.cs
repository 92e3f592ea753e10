using System.Runtime.InteropServices;

namespace Mallku.Secrets.Files;

/// <summary>What <c>stat</c> tells of a file; two equal ones mean that nobody changed it in between.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct FileFacts(
    ushort Mode,
    uint Owner,
    ulong Inode,
    long Size,
    long ModifiedSeconds,
    long ModifiedNanoseconds,
    long ChangedSeconds,
    long ChangedNanoseconds)
{
    internal bool IsFolder => (Mode & 0xF000) == 0x4000;

    internal bool IsRegularFile => (Mode & 0xF000) == 0x8000;

    /// <summary>The nine permission bits and setuid, setgid, sticky.</summary>
    internal int Permissions => Mode & 0xFFF;

    internal DateTimeOffset Modified => DateTimeOffset.FromUnixTimeSeconds(ModifiedSeconds);
}
