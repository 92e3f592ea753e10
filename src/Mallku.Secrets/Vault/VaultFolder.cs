using Mallku.Secrets.Files;
using Mallku.Secrets.Keys;

namespace Mallku.Secrets.Vault;

/// <summary>Opens what a vault's folder holds. Reads only, and takes no lock: a replace is atomic.</summary>
internal sealed class VaultFolder(VaultSettings settings)
{
    // a Python writer truncates before it writes, and a rotation changes two files one after the other
    private static readonly TimeSpan SecondLook = TimeSpan.FromMilliseconds(250);
    private readonly KeyStore _keys = settings.Keys;
    private readonly TokenOpener _tokens = new(settings.Keys);
    private volatile bool _hadVault;

    /// <summary>Whether a vault was opened here, by this object: where there is none any more, it is gone and not empty.</summary>
    internal bool HadVault => _hadVault;

    internal TokenOpener Tokens => _tokens;

    internal SecretFileReader SecretFiles => new(settings.Directory, _tokens);

    /// <summary>Opens the folder as it is now; a folder that nobody named and that is not there is an empty vault.</summary>
    /// <exception cref="VaultOpenException">It can't be opened; the message says why and what to do.</exception>
    /// <param name="isBeginning">Whether it is a writer's business to begin a vault here.</param>
    /// <param name="cancellationToken">Ends the wait for a second look.</param>
    internal async ValueTask<OpenedVault> OpenAsync(bool isBeginning, CancellationToken cancellationToken)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var (opened, failure) = TryOpen(isBeginning);
            if (opened is not null && failure is null)
            {
                return opened;
            }

            if (TimeProvider.System.GetElapsedTime(start) > SecondLook)
            {
                return opened ?? throw failure!;
            }

            await Task.Delay(10, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Refuses what is no folder, or one that others could read or change.</summary>
    /// <exception cref="VaultOpenException">It is.</exception>
    internal static void RequireFolder(in FileFacts facts, string path)
    {
        if (!facts.IsFolder)
        {
            throw new VaultOpenException($"'{path}' is no folder", "name another by MALLKU_SECRETS_DIR or --dir");
        }

        PrivateFile.Require(facts, path);
    }

    /// <summary>Whether the file holds a state before the one that it replaced: somebody wrote what he remembered.</summary>
    /// <param name="document">What the file holds.</param>
    /// <param name="key">The key that opened it, which most often opens the former file too.</param>
    /// <param name="token">The file.</param>
    private bool IsOlderThanFormer(VaultDocument document, DataKey key, ReadOnlySpan<byte> token)
    {
        if (PrivateFile.Read(settings.FormerVaultFile, out _) is not { } formerToken)
        {
            return false;
        }

        // where it is under a key that is damaged or gone, only the ledger tells: what is kept for a recovery holds off no reader
        using var former = TokenOpener.TryOpen(formerToken, [key], settings.FormerVaultFile) ?? TokenOpener.TryOpen(formerToken, _tokens.AllWhole(), settings.FormerVaultFile);

        // to put the former file back is a person's way to take back a write
        return document.HasHistory && former is { HasHistory: true } && document.Generation <= former.Generation
            && !token.SequenceEqual(formerToken);
    }

    /// <summary>The files in the folder that open with a former key alone.</summary>
    /// <param name="damage">Why not every former key could be tried.</param>
    internal IReadOnlyList<string> FindFilesUnderFormerKey(out VaultOpenException? damage)
    {
        var former = _keys.ReadWholeFormer(out damage);
        if (_keys.ReadCurrent() is not { } current)
        {
            return [];
        }

        string[] files =
        [
            settings.VaultFile, settings.FormerVaultFile, settings.VaultFile + FileReplacement.TemporarySuffix,
            .. Directory.EnumerateFiles(settings.Directory, "*" + SecretFileReader.Suffix),
        ];
        return
        [
            .. files.Where(file => PrivateFile.Read(file, out _) is { } token
                && !TokenOpener.TryDecrypt(token, current, out _, out _)
                && former.Any(key => TokenOpener.TryDecrypt(token, key, out _, out _))),
        ];
    }

    // what opens with a failure beside it is worth a second look, and is used as it is after that
    private (OpenedVault? Opened, VaultOpenException? Failure) TryOpen(bool isBeginning)
    {
        try
        {
            return TryOpenFolder(isBeginning);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new VaultOpenException(e.Message.TrimEnd('.'), $"look at the modes of '{settings.Directory}' and of what leads to it", e);
        }
    }

    private (OpenedVault? Opened, VaultOpenException? Failure) TryOpenFolder(bool isBeginning)
    {
        var watch = new VaultWatch();
        var now = TimeProvider.System.GetUtcNow();
        if (watch.Note(settings.Directory, now) is not { } folder)
        {
            return OpenAbsent(watch);
        }

        RequireVaultFolder(folder);
        watch.Note(settings.VaultFile, now);
        var token = PrivateFile.Read(settings.VaultFile, out var facts);
        var key = _keys.ReadCurrent();
        if (token is null)
        {
            if (RequireNoneBefore(key, isBeginning) is { } gone)
            {
                return (null, gone);
            }

            var files = SecretFiles.AddTo(new OpenedVault { Document = new VaultDocument(default), Key = key, Watch = watch }, now);
            _hadVault |= files.Opened.SecretFiles.Count > 0;
            return files;
        }

        if (key is null)
        {
            return (null, new VaultOpenException(
                $"the key '{_keys.Path}' is gone, and the vault is there",
                "put the key file back, or name it by MALLKU_KEY_FILE, or give the key by MALLKU_ENCRYPTION_KEY"));
        }

        var opened = TryOpen(token, key, watch);
        if (opened is null)
        {
            return (null, ExplainFailure(token));
        }

        // when a writer has replaced the file meanwhile, the former file says nothing about what was read before
        if (IsBegunAfresh(opened.Document, token) && IsStill(facts))
        {
            return (null, StartedAfresh($"another program has started '{settings.VaultFile}' afresh"));
        }

        if (IsOlderThanFormer(opened.Document, key, token) && IsStill(facts))
        {
            return (null, WrittenOver(settings));
        }

        _hadVault = true;
        return SecretFiles.AddTo(opened, now);
    }

    private OpenedVault? TryOpen(ReadOnlySpan<byte> token, DataKey key, VaultWatch watch)
    {
        if (TokenOpener.TryOpen(token, [key], settings.VaultFile) is { } document)
        {
            return new OpenedVault { Document = document, Key = key, Watch = watch };
        }

        foreach (var (path, next) in _keys.ReadNext())
        {
            if (TokenOpener.TryOpen(token, [next], settings.VaultFile) is { } rotated)
            {
                return new OpenedVault { Document = rotated, Key = next, NextKeyPath = path, Watch = watch };
            }
        }

        // Another vault that shares the key file has rotated it. What is newer than the former file is whole, and the next
        // write brings it under the new key; anything older was written by somebody who still holds the former key.
        return _keys.IsShared && TokenOpener.TryOpen(token, _keys.ReadFormer(), settings.VaultFile) is { } shared && IsWhole(shared, key, token)
            ? new OpenedVault { Document = shared, Key = key, Watch = watch }
            : null;
    }

    // whoever swaps two folders leaves none for a moment
    private (OpenedVault? Opened, VaultOpenException? Failure) OpenAbsent(VaultWatch watch)
    {
        RequireNoDanglingLink(settings);
        if (_hadVault)
        {
            return (null, Gone());
        }

        return settings.IsDirectoryNamed
            ? throw new VaultOpenException($"there is no folder '{settings.Directory}'", $"make a vault there: {settings.InitCommand}")
            : (new OpenedVault { Document = new VaultDocument(default), Key = null, Watch = watch }, null);
    }

    /// <summary>Refuses a link to what is not there: it is no place for a new vault, and no empty one.</summary>
    /// <exception cref="VaultOpenException">The folder is such a link.</exception>
    internal static void RequireNoDanglingLink(VaultSettings settings)
    {
        if (new FileInfo(settings.Directory).LinkTarget is { } target && !Posix.TryStat(settings.Directory, out _))
        {
            throw new VaultOpenException($"'{settings.Directory}' is a link to '{target}', which is not there", "mount or make what it points to, or remove the link");
        }
    }

    /// <summary>What to say where this process has used a vault that is not there now.</summary>
    internal VaultOpenException Gone() => new(
        $"the vault in '{settings.Directory}' is gone, which this process has used",
        "mount that folder or put it back: it is used again at once; if it is not to come back, start the program again");

    /// <summary>Refuses a folder that others could read or change, or that is none.</summary>
    /// <exception cref="VaultOpenException">It is.</exception>
    internal void RequireVaultFolder(in FileFacts folder)
    {
        try
        {
            RequireFolder(folder, settings.Directory);
        }
        catch (VaultOpenException) when (folder.IsFolder && !settings.HasTraces)
        {
            // it is not ours to say how other people's folders should be
            throw new VaultOpenException($"'{settings.Directory}' is a folder without a vault", $"name another by MALLKU_SECRETS_DIR or --dir, or make one: {settings.InitCommand}");
        }
    }

    // an empty mount point, or a vault that somebody removed, is no empty vault
    private VaultOpenException? RequireNoneBefore(DataKey? key, bool isBeginning)
    {
        if (Posix.TryStat(settings.FormerVaultFile, out _))
        {
            return new VaultOpenException(
                $"'{settings.VaultFile}' is gone, and its former state is there",
                "put that back: mallku key recover");
        }

        if (SecretFiles.HasAny() || (isBeginning && !_hadVault))
        {
            return null;
        }

        // whoever writes here makes the lock first
        if (!isBeginning && Posix.TryStat(settings.LockFile, out _))
        {
            return new VaultOpenException($"'{settings.VaultFile}' is gone", $"put a backup in its place, or begin anew: {settings.InitCommand}");
        }

        if (_hadVault)
        {
            return Gone();
        }

        return key is null && settings.IsDirectoryNamed
            ? new VaultOpenException($"there is no vault in '{settings.Directory}'", $"make one: {settings.InitCommand}")
            : null;
    }

    private bool IsStill(in FileFacts facts) => Posix.TryStat(settings.VaultFile, out var now) && now == facts;

    private bool IsWhole(VaultDocument document, DataKey key, ReadOnlySpan<byte> token) =>
        document.HasHistory ? !IsOlderThanFormer(document, key, token) : !IsBegunAfresh(document, token);

    // Only our writes make a former file, and they leave the reserved member in the vault. Python starts afresh when it
    // can't decrypt; what it then writes opens, and everything else would seem to be gone.
    private bool IsBegunAfresh(VaultDocument document, ReadOnlySpan<byte> token) =>
        !document.HasHistory && PrivateFile.Read(settings.FormerVaultFile, out _) is { } former && !token.SequenceEqual(former);

    private VaultOpenException ExplainFailure(ReadOnlySpan<byte> token)
    {
        if (token.Trim(" \t\r\n"u8).IsEmpty)
        {
            return new VaultOpenException($"the vault '{settings.VaultFile}' is empty", $"put {FileReplacement.DescribeBackup(settings.VaultFile)}");
        }

        using var byFormerKey = TokenOpener.TryOpen(token, _keys.ReadWholeFormer(out _), settings.VaultFile);
        if (byFormerKey is not null)
        {
            return StartedAfresh($"another program has written '{settings.VaultFile}' with the key from before the last rotation");
        }

        if (settings.IsMadeWhenNeeded)
        {
            return new VaultOpenException(
                $"the vault in '{settings.Directory}', which keeps the ledger of this machine beside the store, does not open: it has another key than the store's, or the file is damaged",
                $"put {FileReplacement.DescribeBackup(settings.VaultFile)}; or move the folder away, and it is made anew: mv {PrivateFile.ShellQuote(settings.Directory)} {PrivateFile.ShellQuote(settings.Directory + ".former")}");
        }

        return new VaultOpenException(
            $"the vault '{settings.VaultFile}' does not open: the key from {DescribeKey()} is another one, or the file is damaged",
            $"check the key; if it is right, put {FileReplacement.DescribeBackup(settings.VaultFile)}");
    }

    private static VaultOpenException StartedAfresh(string what) => new(
        what, "end that program, then merge what it wrote with the former file: mallku key recover");

    private static VaultOpenException WrittenOver(VaultSettings settings) => new(
        $"another program has written an older state over '{settings.VaultFile}'",
        $"end that program, then merge it: mallku key recover (or, where you put it there yourself: mallku key recover --as-is)");

    private string DescribeKey() => _keys.IsGiven ? "MALLKU_ENCRYPTION_KEY" : $"'{_keys.Path}'";
}
