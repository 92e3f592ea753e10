using System.Runtime.InteropServices;
using System.Text;

namespace Mallku.Cli.Native;

/// <summary>
/// The arguments and the environment that the caller gave, byte by byte: the runtime's strings lose what is not UTF-8.
/// </summary>
internal static unsafe class CallerBytes
{
    private const string OwnArguments = "/proc/self/cmdline";

    /// <summary>The bytes of <paramref name="arguments"/>, which are the last ones of this process.</summary>
    internal static List<byte[]> GetArguments(string[] arguments)
    {
        var given = File.Exists(OwnArguments) ? Split(File.ReadAllBytes(OwnArguments)) : [];
        return given.Count >= arguments.Length
            ? given.GetRange(given.Count - arguments.Length, arguments.Length)
            : [.. arguments.Select(Encoding.UTF8.GetBytes)];
    }

    /// <summary>Every <c>NAME=value</c> of the environment.</summary>
    internal static List<byte[]> GetEnvironment()
    {
        var entries = new List<byte[]>();
        if (NativeBinary.IsThis)
        {
            for (var entry = Libc.GetEnvironment(); *entry is not null; entry++)
            {
                entries.Add(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(*entry).ToArray());
            }

            return entries;
        }

        foreach (System.Collections.DictionaryEntry variable in Environment.GetEnvironmentVariables())
        {
            entries.Add(Encoding.UTF8.GetBytes($"{variable.Key}={variable.Value}"));
        }

        return entries;
    }

    private static List<byte[]> Split(ReadOnlySpan<byte> zeroTerminated)
    {
        var parts = new List<byte[]>();
        while (zeroTerminated.IndexOf((byte)0) is var end and >= 0)
        {
            parts.Add(zeroTerminated[..end].ToArray());
            zeroTerminated = zeroTerminated[(end + 1)..];
        }

        return parts;
    }
}
