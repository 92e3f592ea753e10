using System.Security.Cryptography;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Vault;

namespace Mallku.Cli.Commands;

/// <summary>A value that a person types without seeing it, or that standard input brings.</summary>
internal static class GivenValue
{
    /// <exception cref="SecretsException">It is no text.</exception>
    internal static SecretValue Read(string question)
    {
        var bytes = Prompt.IsPossible ? Prompt.AskHidden(question, FileVault.MaxValueLength + 1) : PipedValue.Read(FileVault.MaxValueLength);
        try
        {
            return SecretValue.FromUtf8(bytes);
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
