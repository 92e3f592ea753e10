using Mallku.Cli.Native;
using Mallku.Cli.Terminal;

namespace Mallku.Cli.Transfer;

/// <summary>A file that a person has named on the command line. It may be a pipe, whose writer is waited for.</summary>
internal static class GivenFile
{
    /// <summary>The name that stands for standard input, where that is understood.</summary>
    internal const string StandardInput = "-";

    /// <summary>Reads all of it, and no further than to one byte above the limit.</summary>
    /// <returns>The bytes, pinned, for the caller to wipe. They are more than the limit where the file is longer.</returns>
    /// <exception cref="SecretsException">It is not there, or can't be read.</exception>
    internal static byte[] Read(string path, int limit, string remedy = "check the path")
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
            return WipedInput.ReadToEnd(buffer => file.Read(buffer.Span), limit);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            // a key in the place of a path is not repeated
            throw new SecretsException(SecretName.MayBeValue(path) ? "there is no file of that name" : $"there is no file {Show(path)}", remedy);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException)
        {
            throw new SecretsException($"{Show(path)} can't be read", "check that it is a file and that you may read it");
        }
    }

    /// <summary>The same of standard input.</summary>
    internal static byte[] ReadStandardInput(int limit) => WipedInput.ReadToEnd(static buffer => Descriptor.Read(Descriptor.Input, buffer.Span), limit);

    /// <summary>The path of a file that is there, for a message.</summary>
    internal static string Show(string path) => $"'{SecretsException.Show(path)}'";
}
