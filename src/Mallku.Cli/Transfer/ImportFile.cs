using System.Security.Cryptography;
using System.Text;

namespace Mallku.Cli.Transfer;

/// <summary>A file that secrets come from. What it is shows in its first character.</summary>
internal static class ImportFile
{
    private const int LongestFile = 64 * 1024 * 1024;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <exception cref="SecretsException">The file can't be read as one of the formats.</exception>
    internal static List<Entry> Read(string path)
    {
        var bytes = ReadBytes(path);
        try
        {
            var content = bytes.AsMemory();
            if (content.Span.StartsWith("\uFEFF"u8))
            {
                content = content["\uFEFF"u8.Length..];
            }

            var isJson = content.Span.TrimStart(" \t\r\n"u8) is [(byte)'{' or (byte)'[', ..];
            var entries = isJson ? FlatJson.Parse(content) : DotEnv.Parse(Strict.GetString(content.Span));
            return entries.Count > 0 ? entries : throw new SecretsException("the file has no secrets", "import a .env or a JSON file of secrets");
        }
        catch (DecoderFallbackException)
        {
            throw new SecretsException($"{GivenFile.Show(path)} is not valid UTF-8", "save it as UTF-8 and import it again");
        }
        catch (SecretsException e) when (e is not UsageException)
        {
            throw new SecretsException($"{GivenFile.Show(path)}: {e.Problem}", e.Remedy);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }

    private static byte[] ReadBytes(string path)
    {
        var bytes = path is GivenFile.StandardInput ? GivenFile.ReadStandardInput(LongestFile) : GivenFile.Read(path, LongestFile);
        return bytes.Length <= LongestFile
            ? bytes
            : throw new SecretsException("the file is longer than 64 MiB", "import a .env or a JSON file of secrets");
    }
}
