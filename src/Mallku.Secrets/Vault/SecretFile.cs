using Mallku.Secrets.Files;

namespace Mallku.Secrets.Vault;

/// <summary>A <c>NAME.secret</c> file, which wins over the vault; with the error where it does not open.</summary>
/// <param name="Name">The secret's name.</param>
/// <param name="Path">The file.</param>
/// <param name="Facts">What the file was when it was read.</param>
/// <param name="IsTakenIn">Whether a rotation that was cut off has taken it into the vault and not removed it yet.</param>
/// <param name="Error">Why it does not open.</param>
internal sealed record SecretFile(string Name, string Path, FileFacts Facts, bool IsTakenIn, VaultOpenException? Error)
{
    /// <summary>Removes the file, unless somebody changed it since it was read.</summary>
    /// <exception cref="SecretsException">It could not be removed.</exception>
    internal void Remove()
    {
        if (IsAsRead())
        {
            FileReplacement.Remove(Path);
        }
    }

    /// <summary>The same after a write that has taken it in.</summary>
    /// <exception cref="SecretsException">It could not be removed; the change is in the vault.</exception>
    internal void RemoveAbsorbed()
    {
        try
        {
            Remove();
        }
        catch (SecretsException e)
        {
            // its own text says that nothing was changed
            throw new SecretsException(
                $"the change is in the vault, and '{Path}', which wins over it, could not be removed ({(e.InnerException ?? e).Message})",
                $"rm {PrivateFile.ShellQuote(Path)}",
                e);
        }
    }

    private bool IsAsRead()
    {
        try
        {
            return Posix.TryStat(Path, out var now) && now == Facts;
        }
        catch (PosixException)
        {
            return false;
        }
    }
}
