using System.Security.Cryptography;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Storage;

namespace Mallku.Cli.Commands;

/// <summary>A value that a person types without seeing it, or that standard input brings.</summary>
internal static class GivenValue
{
    /// <exception cref="SecretsException">It is no text.</exception>
    internal static SecretValue Read(string question)
    {
        var bytes = Prompt.IsPossible ? Prompt.AskHidden(question, SecretChanges.MaxValueLength + 1) : PipedValue.Read(SecretChanges.MaxValueLength);
        try
        {
            // a sign of some editors that no key begins with
            if (!bytes.AsSpan().StartsWith("\uFEFF"u8))
            {
                return SecretValue.FromUtf8(bytes);
            }

            Notice.Warn("the byte order mark before the value is left out");
            return SecretValue.FromUtf8(bytes.AsSpan("\uFEFF"u8.Length));
        }
        catch (ArgumentException)
        {
            throw new SecretsException("the value is not valid UTF-8, and nothing is stored", "encode what is no text first: base64 < FILE | mallku set NAME");
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }
}
