using System.Buffers;
using System.Diagnostics.CodeAnalysis;

namespace Mallku.Secrets;

/// <summary>
/// The name of a secret: 1 to 255 ASCII letters, digits, <c>.</c>, <c>_</c> and <c>-</c>, such as
/// <c>openai_api_key</c>.
/// </summary>
public readonly struct SecretName : IEquatable<SecretName>
{
    /// <summary>The most characters that a name may have.</summary>
    public const int MaxLength = 255;

    private static readonly SearchValues<char> Allowed =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

    private readonly string? _text;

    private SecretName(string text) => _text = text;

    /// <summary>Reads a name.</summary>
    /// <exception cref="SecretNameException">The text breaks the rules for names.</exception>
    public static SecretName Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return TryParse(text, out var name) ? name : throw new SecretNameException(text);
    }

    /// <summary>Reads a name, or says that the text is none.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out SecretName name)
    {
        var valid = text is { Length: >= 1 and <= MaxLength } && !text.AsSpan().ContainsAnyExcept(Allowed);
        name = valid ? new SecretName(text!) : default;
        return valid;
    }

    /// <summary>
    /// A name as an older vault may hold it against the rules: it can be asked for, listed and removed, and not set.
    /// </summary>
    internal static SecretName Existing(string text) => new(text);

    /// <summary>Whether a secret of this name can be set.</summary>
    internal bool IsValid => TryParse(_text, out _);

    /// <summary>
    /// Whether a text that is no secret's name may be a value in the wrong place: it begins with <c>sk-</c>, or with <c>hf_</c>
    /// and 30 or more letters and digits; or it has 16 or more letters and digits in a row, in which a letter follows on a
    /// digit or a digit on a letter at least three times.
    /// </summary>
    internal static bool MayBeValue(string text)
    {
        const int changesOfNoWord = 3, lengthOfRandom = 16, lengthOfLetters = 30;
        const string prefixOfLetters = "hf_";
        var (length, changes) = (0, 0);
        for (var i = 0; i < text.Length; i++)
        {
            if (!char.IsAsciiLetterOrDigit(text[i]))
            {
                (length, changes) = (0, 0);
                continue;
            }

            changes += length > 0 && char.IsAsciiDigit(text[i]) != char.IsAsciiDigit(text[i - 1]) ? 1 : 0;
            length++;
            if ((length >= lengthOfRandom && changes >= changesOfNoWord)
                || (length >= lengthOfLetters && i - length == prefixOfLetters.Length - 1 && text.StartsWith(prefixOfLetters, StringComparison.Ordinal)))
            {
                return true;
            }
        }

        return text.StartsWith("sk-", StringComparison.Ordinal);
    }

    /// <summary>The environment variable that holds this secret: upper case, with <c>.</c> and <c>-</c> as <c>_</c>.</summary>
    public string ToEnvironmentVariable() => string.Create(ToString().Length, ToString(), static (variable, name) =>
    {
        for (var i = 0; i < name.Length; i++)
        {
            variable[i] = name[i] is '.' or '-' ? '_' : char.ToUpperInvariant(name[i]);
        }
    });

    /// <summary>Whether the names are the same when case is ignored and <c>-</c> is read as <c>_</c>.</summary>
    public bool MatchesLoosely(SecretName other) => string.Equals(Fold(), other.Fold(), StringComparison.Ordinal);

    internal string Fold() => ToString().ToLowerInvariant().Replace('-', '_');

    /// <inheritdoc/>
    public override string ToString() => _text ?? "";

    /// <inheritdoc/>
    public bool Equals(SecretName other) => string.Equals(ToString(), other.ToString(), StringComparison.Ordinal);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is SecretName other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => ToString().GetHashCode(StringComparison.Ordinal);

    /// <summary>Whether the names are the same, letter by letter.</summary>
    public static bool operator ==(SecretName left, SecretName right) => left.Equals(right);

    /// <summary>Whether the names differ.</summary>
    public static bool operator !=(SecretName left, SecretName right) => !left.Equals(right);
}
