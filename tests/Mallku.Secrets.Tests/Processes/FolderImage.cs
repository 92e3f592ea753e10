namespace Mallku.Secrets.Tests.Processes;

/// <summary>A vault's folder in memory, with its ledger, to which a process's calls can be applied one after the other.</summary>
internal sealed class FolderImage
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    // by path in the folder; a rename moves the file and not its bytes, and what is on the disk belongs to the file too
    private readonly Dictionary<string, StoredFile> _files = new(StringComparer.Ordinal);

    internal static FolderImage Read(string folder)
    {
        var image = new FolderImage();
        foreach (var path in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
        {
            var bytes = ReadAll(path);
            image._files[Path.GetRelativePath(folder, path)] = new StoredFile { Bytes = bytes, Durable = bytes };
        }

        return image;
    }

    internal void Apply(FileEvent change)
    {
        switch (change)
        {
            case FileEvent.Created created:
                _files.TryAdd(created.Name, new StoredFile());
                break;
            case FileEvent.Truncated truncated:
                _files[truncated.Name].Bytes = [.. _files[truncated.Name].Bytes.Take(truncated.Length)];
                break;
            case FileEvent.Written written:
                var before = _files[written.Name].Bytes;
                Assert.True(written.Offset <= before.Length, $"a hole in '{written.Name}'");
                _files[written.Name].Bytes = [.. before.Take(written.Offset), .. written.Bytes, .. before.Skip(written.Offset + written.Bytes.Length)];
                break;
            // the names of a folder are always kept
            case FileEvent.Flushed flushed when _files.TryGetValue(flushed.Name, out var file):
                file.Durable = file.Bytes;
                break;
            case FileEvent.Renamed renamed:
                _files.Remove(renamed.From, out var moved);
                _files[renamed.To] = moved!;
                break;
            case FileEvent.Exchanged exchanged:
                (_files[exchanged.One], _files[exchanged.Other]) = (_files[exchanged.Other], _files[exchanged.One]);
                break;
            case FileEvent.Removed removed:
                Assert.True(_files.Remove(removed.Name));
                break;
        }
    }

    /// <summary>Makes the folder what this is.</summary>
    /// <param name="folder">A folder; the files in it go.</param>
    /// <param name="afterPowerLoss">Whether bytes that were not flushed are lost; the names are kept, which is the worse case.</param>
    internal void Restore(string folder, bool afterPowerLoss = false)
    {
        foreach (var path in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
        {
            File.Delete(path);
        }

        foreach (var (name, file) in _files)
        {
            var path = Path.Combine(folder, name);
            File.WriteAllBytes(path, afterPowerLoss ? file.Durable : file.Bytes);
            File.SetUnixFileMode(path, Private);
        }
    }

    // the runtime's own way takes a lock on the file, which the ledger's writer may still hold on its lock
    private static byte[] ReadAll(string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        var bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        return bytes;
    }

    internal IEnumerable<string> Describe() =>
        _files.Select(pair => $"{pair.Key} {Convert.ToHexString(pair.Value.Bytes)}").Order(StringComparer.Ordinal);

    private sealed class StoredFile
    {
        internal byte[] Bytes { get; set; } = [];

        internal byte[] Durable { get; set; } = [];
    }
}
