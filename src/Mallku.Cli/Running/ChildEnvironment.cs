using System.Text;
using Mallku.Secrets.Files;

namespace Mallku.Cli.Running;

/// <summary>The environment of a command: what the caller has, and the secrets. Pure.</summary>
internal static class ChildEnvironment
{
    /// <summary>The most bytes that Linux takes as one string of an environment, with its end (MAX_ARG_STRLEN).</summary>
    private const int LongestEntry = 131072;

    /// <exception cref="SecretsException">A value can't be a variable's.</exception>
    internal static List<byte[]> Merge(List<byte[]> inherited, IReadOnlyList<Injection> secrets)
    {
        var added = secrets.Where(secret => !secret.IsInherited).ToList();
        var replaced = new HashSet<string>(added.Select(secret => secret.Variable), StringComparer.Ordinal);
        var entries = inherited.FindAll(entry => Encoding.UTF8.GetString(NameOf(entry)) is var name && !IsWithheld(name, entry) && !replaced.Contains(name));
        entries.AddRange(added.Select(ToEntry));
        return entries;
    }

    private static bool IsWithheld(string name, byte[] entry) =>
        // the command gets secrets, and not what opens all of them
        OwnVariables.IsWithheld(name, Encoding.UTF8.GetString(entry.AsSpan(Math.Min(entry.Length, NameOf(entry).Length + 1))));

    private static ReadOnlySpan<byte> NameOf(ReadOnlySpan<byte> entry) =>
        entry.IndexOf((byte)'=') is var split and >= 0 ? entry[..split] : entry;

    private static byte[] ToEntry(Injection secret)
    {
        var name = Encoding.UTF8.GetBytes(secret.Variable + "=");
        var entry = SecretValue.Allocate(name.Length + secret.Found.Value.Length);
        name.CopyTo(entry, 0);
        secret.Found.Value.CopyUtf8To(entry.AsSpan(name.Length));
        if (entry.AsSpan().Contains((byte)0))
        {
            throw new SecretsException(
                $"the value of '{secret.Found.Name}' has a zero byte, which no environment can hold",
                $"{secret.WayOut}, and read it with: mallku get {secret.Found.Name}");
        }

        return entry.Length < LongestEntry ? entry : throw new SecretsException(
            $"the value of '{secret.Found.Name}' is too long for an environment ({secret.Found.Value.Length} bytes)",
            $"{secret.WayOut}, and read it with: mallku get {secret.Found.Name}");
    }
}
