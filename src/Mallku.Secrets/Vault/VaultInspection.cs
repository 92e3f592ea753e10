using Mallku.Secrets.Files;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Vault;

/// <summary>How bad a finding is.</summary>
internal enum FindingLevel
{
    /// <summary>As it should be.</summary>
    Ok,

    /// <summary>Works, and should be mended.</summary>
    Warning,

    /// <summary>Does not work, or is not safe.</summary>
    Error,
}

/// <summary>One thing that was looked at.</summary>
/// <param name="Level">How bad it is.</param>
/// <param name="Check">A stable name of what was looked at, such as <c>folder-mode</c>.</param>
/// <param name="What">What was found, without values.</param>
/// <param name="Remedy">What to do, where there is something to do.</param>
internal sealed record Finding(FindingLevel Level, string Check, string What, string? Remedy);

/// <summary>Looks over a vault's folder, changing nothing.</summary>
internal sealed class VaultInspection(VaultSettings settings)
{
    private const string FormerKey = "former-key";
    private readonly List<Finding> _findings = [];
    private readonly VaultFolder _folder = new(settings);

    /// <summary>Everything that was looked at, in the order in which to mend it.</summary>
    internal static async ValueTask<IReadOnlyList<Finding>> InspectAsync(FileVault vault, CancellationToken cancellationToken)
    {
        var inspection = new VaultInspection(vault.Settings);
        try
        {
            if (inspection.InspectFolder())
            {
                inspection.InspectModes();
                inspection.InspectKinds();
                inspection.InspectGitIgnore();
                inspection.InspectLeftovers();
                inspection.InspectKeyPlace();
                var opened = await inspection.InspectContentAsync(vault, cancellationToken).ConfigureAwait(false);
                inspection.InspectFormerKey(opened);
                inspection.InspectFormerVault(opened);
            }
        }
        catch (SecretsException e)
        {
            inspection.Add(FindingLevel.Error, "vault", e.Problem, e.Remedy);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            inspection.Add(FindingLevel.Error, "folder", e.Message.TrimEnd('.'), $"look at the modes of '{vault.Settings.Directory}' and of what leads to it");
        }

        return inspection._findings;
    }

    private bool InspectFolder()
    {
        if (!Posix.TryStat(settings.Directory, out var facts))
        {
            Add(FindingLevel.Error, "folder", $"there is no vault in '{settings.Directory}'", $"make one: {settings.InitCommand}");
            SayNothingIsRecorded();
            return false;
        }

        _folder.RequireVaultFolder(facts);
        Add(FindingLevel.Ok, "folder", settings.Directory, null);
        const int ownerAll = 0b111_000_000;
        var remedy = $"chmod 700 {PrivateFile.ShellQuote(settings.Directory)}";
        if (!Posix.MayEnter(settings.Directory))
        {
            Add(FindingLevel.Error, "folder-mode", "the folder can't be read", remedy);
            return false;
        }

        Add(FindingLevel.Ok, "folder-mode", "only this user can read the folder", null);
        if ((facts.Permissions & ownerAll) != ownerAll)
        {
            Add(FindingLevel.Warning, "folder-mode", "the folder can't be written", remedy);
        }

        return true;
    }

    private void InspectModes()
    {
        var keys = settings.Keys;
        var found = _findings.Count;
        foreach (var path in Directory.EnumerateFiles(settings.Directory).Where(IsOfVault)
            .Append(keys.Path).Append(keys.NextPath).Append(keys.FormerPath).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            if (Posix.TryStat(path, out var facts))
            {
                Require(facts, path);
            }
        }

        if (_findings.Count == found)
        {
            Add(FindingLevel.Ok, "file-mode", "only this user can read the files", null);
        }
    }

    // the folder may hold other files, whose modes are not ours to judge
    private bool IsOfVault(string path) =>
        path == settings.LockFile || path.StartsWith(settings.VaultFile, StringComparison.Ordinal)
        || path.EndsWith(SecretFileReader.Suffix, StringComparison.Ordinal) || path.EndsWith(FileReplacement.TemporarySuffix, StringComparison.Ordinal);

    // what can be read and not written: each of these fails every write
    private void InspectKinds()
    {
        const string check = "file-kind";
        foreach (var path in (string[])[settings.LockFile, settings.RotationLockFile])
        {
            if (Posix.IsLink(path))
            {
                Add(FindingLevel.Error, check, PosixException.DescribeLink(path), PosixException.RemedyOfLink(path));
            }
        }

        foreach (var path in VaultWriter.FindFiles(settings).Append(settings.LockFile).Append(settings.RotationLockFile).Where(Posix.IsFolder))
        {
            Add(FindingLevel.Error, check, PosixException.DescribeFolder(path), PosixException.RemedyOfFolder);
        }

        // as some who keep it elsewhere want it
        if (new FileInfo(settings.VaultFile).LinkTarget is { } target)
        {
            Add(
                FindingLevel.Warning,
                check,
                $"'{settings.VaultFile}' is a symbolic link to '{target}': it can be read, and every write is refused",
                "use the folder that it points to, by MALLKU_SECRETS_DIR or --dir");
        }
    }

    private void InspectGitIgnore()
    {
        const string check = "gitignore";
        try
        {
            if (GitIgnore.IsComplete(settings.GitIgnoreFile))
            {
                Add(FindingLevel.Ok, check, "git adds nothing of the folder; what it tracks already, it goes on tracking", null);
            }
            else
            {
                Add(FindingLevel.Warning, check, $"git does not ignore all of '{settings.Directory}'", $"echo '*' >> {PrivateFile.ShellQuote(settings.GitIgnoreFile)}");
            }
        }
        catch (VaultOpenException e)
        {
            Add(FindingLevel.Warning, check, e.Problem, e.Remedy);
        }
    }

    private void InspectLeftovers()
    {
        foreach (var path in Directory.EnumerateFiles(settings.Directory, "*" + FileReplacement.TemporarySuffix).Order(StringComparer.Ordinal))
        {
            Add(
                FindingLevel.Warning,
                "leftover",
                $"'{path}' is left from a write that was cut off",
                VaultWriter.IsSettled(settings, path) ? "the next write removes it: mallku set NAME" : $"rm {PrivateFile.ShellQuote(path)}");
        }

        var keys = settings.Keys;
        if (keys.IsRotating)
        {
            Add(FindingLevel.Warning, "leftover", "a rotation of the key was cut off; the vault opens", "the next write settles it: mallku key rotate");
        }

    }

    private void InspectFormerKey(OpenedVault? opened)
    {
        var keys = settings.Keys;
        if (!keys.HasFormer)
        {
            return;
        }

        var needed = _folder.FindFilesUnderFormerKey(out var damage);
        if (damage is not null)
        {
            Add(FindingLevel.Warning, FormerKey, damage.Problem, damage.Remedy);
        }
        else if (needed.Count > 0)
        {
            var isWritable = opened is not null && opened.SecretFiles.All(file => file.Error is null);
            Add(
                FindingLevel.Ok,
                FormerKey,
                $"'{needed[0]}' is still under a former key, which is kept in '{keys.FormerPath}'",
                isWritable ? "keep it; the next write of the vault makes it unnecessary" : "keep it: what is under it is merged by mallku key recover");
        }
        else
        {
            Add(
                FindingLevel.Ok,
                FormerKey,
                $"the key from before the last rotation is kept in '{keys.FormerPath}'",
                $"when no program{(keys.IsShared ? ", and no other vault with this key file," : "")} uses it any more: rm {PrivateFile.ShellQuote(keys.FormerPath)}");
        }
    }

    private void InspectFormerVault(OpenedVault? opened)
    {
        if (PrivateFile.Read(settings.FormerVaultFile, out _) is not { } token)
        {
            return;
        }

        string? problem = null;
        try
        {
            using var former = TokenOpener.TryOpen(token, _folder.Tokens.AllWhole(), settings.FormerVaultFile);
            problem = former is null ? $"no key that is there opens '{settings.FormerVaultFile}', so that no recovery could use it" : null;
        }
        catch (VaultOpenException e) when (e.IsDamage)
        {
            problem = e.Problem;
        }

        if (problem is not null)
        {
            Add(
                FindingLevel.Warning,
                "former-vault",
                problem,
                opened is null ? "put a backup in its place" : "the next write keeps the present state there: mallku set NAME");
        }
    }

    private void InspectKeyPlace()
    {
        var keys = settings.Keys;
        if (keys.IsGiven)
        {
            Add(FindingLevel.Ok, "key-place", "the key comes from MALLKU_ENCRYPTION_KEY", null);
        }
        else if (keys.IsBeside(settings.Directory))
        {
            Add(
                FindingLevel.Warning,
                "key-place",
                "the key lies beside the data: who copies the folder has both",
                "move it, and what lies beside it under its name, and name its place by MALLKU_KEY_FILE");
        }
        else
        {
            Add(FindingLevel.Ok, "key-place", $"the key lies apart from the data, in '{keys.Path}'", null);
        }
    }

    /// <summary>What opens; null where nothing does.</summary>
    private async ValueTask<OpenedVault?> InspectContentAsync(FileVault vault, CancellationToken cancellationToken)
    {
        OpenedVault opened;
        try
        {
            opened = await vault.OpenAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (SecretsException e)
        {
            Add(FindingLevel.Error, e is LedgerException ? LedgerInspection.PinCheck : "vault", e.Problem, e.Remedy);
            return null;
        }

        if (opened.Key is null)
        {
            Add(FindingLevel.Error, "vault", $"there is no vault in '{settings.Directory}'", $"make one: {settings.InitCommand}");
            SayNothingIsRecorded();
            return null;
        }

        Add(FindingLevel.Ok, "vault", $"the vault opens: {opened.Document.Existing.Count()} secrets, generation {opened.Document.Generation}", null);
        foreach (var file in opened.SecretFiles)
        {
            Add(
                file.Error is null ? FindingLevel.Warning : FindingLevel.Error,
                "secret-file",
                file.Error?.Problem ?? $"'{file.Path}' wins over the vault",
                file.Error?.Remedy ?? "the next write takes it into the vault: mallku key rotate");
        }

        foreach (var record in opened.Document.Existing)
        {
            if (!SecretName.TryParse(record.Name, out _))
            {
                Add(
                    FindingLevel.Warning,
                    "name",
                    $"'{SecretsException.Show(record.Name)}' is no name for a secret: it can be read and removed, and not set",
                    "set it under another name, then remove it");
            }
        }

        InspectClock(opened);
        _findings.AddRange(await LedgerInspection.InspectAsync(vault, opened, cancellationToken).ConfigureAwait(false));
        return opened;
    }

    private void SayNothingIsRecorded() => Add(
        FindingLevel.Warning, LedgerInspection.Check, "nothing is recorded: a ledger needs a vault, which keeps its key", $"make one: {settings.InitCommand}");

    private void InspectClock(OpenedVault opened)
    {
        var now = settings.Clock.GetUtcNow();
        var newest = opened.Document.Secrets.Values.SelectMany(static record => record.Versions).Select(static version => version.Created)
            .DefaultIfEmpty(DateTimeOffset.MinValue).Max();
        Add(
            newest <= now + TimeSpan.FromMinutes(1) ? FindingLevel.Ok : FindingLevel.Warning,
            "clock",
            newest <= now + TimeSpan.FromMinutes(1)
                ? "no version was written in the future"
                : $"a version says that it was written at {SecretFormat.Format(newest)}, and it is {SecretFormat.Format(now)} here",
            newest <= now + TimeSpan.FromMinutes(1) ? null : "set the clock right, here or where it was written");
    }

    private void Require(FileFacts facts, string path)
    {
        try
        {
            PrivateFile.Require(facts, path);
        }
        catch (VaultOpenException e)
        {
            Add(FindingLevel.Error, "file-mode", e.Problem, e.Remedy);
        }
    }

    // several who look at one file find the same
    private void Add(FindingLevel level, string check, string what, string? remedy)
    {
        if (!_findings.Exists(finding => finding.Level == level && finding.What == what))
        {
            _findings.Add(new Finding(level, check, what, remedy));
        }
    }
}
