using System.Buffers;
using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Unicode;

namespace Mallku.Secrets;

/// <summary>
/// The value of a secret: UTF-8 text in memory that the garbage collector does not move, and that is wiped when
/// nobody needs it any more.
/// </summary>
/// <remarks>
/// <para>Nothing shows it by accident: it prints as <c>***</c>, a debugger shows its length, and JSON serialization
/// throws. The text leaves it only through the members whose name begins with <c>Reveal</c>, and through
/// <see cref="CopyUtf8To"/>.</para>
/// <para>A value from a <see cref="SecretsManager"/> is borrowed: the manager owns it, <see cref="Dispose"/> does
/// nothing, and it is wiped after the manager has replaced it and the last reader has let go of it. A value that the
/// caller made, or copied by <see cref="Copy"/>, is wiped by <see cref="Dispose"/>, or by the finalizer.</para>
/// <para>Safe for concurrent reads. Disposing a value while another thread reads it is a mistake of the caller's.</para>
/// </remarks>
[DebuggerDisplay("*** ({Length} bytes)")]
[JsonConverter(typeof(RefusingJsonConverter))]
public sealed class SecretValue : IDisposable, IEquatable<SecretValue>
{
    // no debugger may unfold it
    [DebuggerBrowsable(DebuggerBrowsableState.Never)]
    private byte[]? _utf8;
    private readonly bool _borrowed;

    private SecretValue(byte[] pinned, bool borrowed)
    {
        _utf8 = pinned;
        _borrowed = borrowed;
    }

    /// <summary>Copies <paramref name="utf8"/>, which the caller may wipe afterwards.</summary>
    /// <exception cref="ArgumentException">The bytes are not valid UTF-8.</exception>
    public static SecretValue FromUtf8(ReadOnlySpan<byte> utf8) => Create(utf8, borrowed: false);

    /// <summary>Copies <paramref name="text"/>. A string can't be wiped: prefer <see cref="FromUtf8"/>.</summary>
    /// <exception cref="ArgumentException">The text holds half of a surrogate pair.</exception>
    public static SecretValue FromString(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var bytes = Allocate(Encoding.UTF8.GetByteCount(text));
        return Utf8.FromUtf16(text, bytes, out _, out _, replaceInvalidSequences: false) == OperationStatus.Done
            ? new SecretValue(bytes, borrowed: false)
            : throw new ArgumentException("The text holds half of a surrogate pair and can't be written as UTF-8.", nameof(text));
    }

    /// <summary>A value whose owner is the library: <see cref="Dispose"/> by a borrower does nothing.</summary>
    internal static SecretValue Borrowed(ReadOnlySpan<byte> utf8) => Create(utf8, borrowed: true);

    /// <summary>Takes over a pinned array that holds valid UTF-8 and that nobody else keeps.</summary>
    internal static SecretValue Adopt(byte[] pinned, bool borrowed = false) => new(pinned, borrowed);

    /// <summary>An array that the garbage collector never moves, so that wiping it wipes the only copy.</summary>
    internal static byte[] Allocate(int length) => GC.AllocateArray<byte>(length, pinned: true);

    /// <summary>The number of UTF-8 bytes.</summary>
    /// <exception cref="ObjectDisposedException">The value was wiped.</exception>
    public int Length => Bytes.Length;

    /// <summary>Copies the UTF-8 bytes and returns how many there are.</summary>
    /// <exception cref="ArgumentException"><paramref name="destination"/> is shorter than <see cref="Length"/>.</exception>
    /// <exception cref="ObjectDisposedException">The value was wiped.</exception>
    public int CopyUtf8To(Span<byte> destination)
    {
        var bytes = Bytes;
        bytes.CopyTo(destination);
        GC.KeepAlive(this);
        return bytes.Length;
    }

    /// <summary>The text as a string, which stays in memory until the garbage collector takes it.</summary>
    /// <exception cref="ObjectDisposedException">The value was wiped.</exception>
    public string RevealString()
    {
        var text = Encoding.UTF8.GetString(Bytes);
        GC.KeepAlive(this);
        return text;
    }

    /// <summary>The UTF-8 bytes as a new array, which the caller should wipe.</summary>
    /// <exception cref="ObjectDisposedException">The value was wiped.</exception>
    public byte[] RevealUtf8()
    {
        var bytes = Allocate(Length);
        CopyUtf8To(bytes);
        return bytes;
    }

    /// <summary>A value of the caller's own, to be disposed by the caller.</summary>
    /// <exception cref="ObjectDisposedException">The value was wiped.</exception>
    public SecretValue Copy() => new(RevealUtf8(), borrowed: false);

    /// <summary>Compares in a time that depends on the lengths only.</summary>
    /// <exception cref="ObjectDisposedException">One of the values was wiped.</exception>
    public bool Equals(SecretValue? other)
    {
        if (other is null)
        {
            return false;
        }

        var equal = CryptographicOperations.FixedTimeEquals(Bytes, other.Bytes);
        GC.KeepAlive(this);
        GC.KeepAlive(other);
        return equal;
    }

    /// <inheritdoc cref="Equals(SecretValue)"/>
    public override bool Equals(object? obj) => obj is SecretValue other && Equals(other);

    /// <summary>The length alone: a hash of the value would say something about it.</summary>
    public override int GetHashCode() => Length;

    /// <inheritdoc cref="Equals(SecretValue)"/>
    public static bool operator ==(SecretValue? left, SecretValue? right) => left is null ? right is null : left.Equals(right);

    /// <inheritdoc cref="Equals(SecretValue)"/>
    public static bool operator !=(SecretValue? left, SecretValue? right) => !(left == right);

    /// <summary>Always <c>***</c>.</summary>
    public override string ToString() => "***";

    /// <summary>Wipes the value, unless it is borrowed from a <see cref="SecretsManager"/>.</summary>
    public void Dispose()
    {
        if (!_borrowed)
        {
            Wipe();
            GC.SuppressFinalize(this);
        }
    }

    /// <summary>Wipes the value when its last reader has let go of it.</summary>
    ~SecretValue() => Wipe();

    /// <summary>For the library's own use without a copy; keep the value alive until the span is done with.</summary>
    [DebuggerBrowsable(DebuggerBrowsableState.Never)]
    internal ReadOnlySpan<byte> Bytes
    {
        get
        {
            ObjectDisposedException.ThrowIf(_utf8 is null, this);
            return _utf8;
        }
    }

    private static SecretValue Create(ReadOnlySpan<byte> utf8, bool borrowed)
    {
        if (!Utf8.IsValid(utf8))
        {
            throw new ArgumentException("The value is not valid UTF-8.", nameof(utf8));
        }

        var bytes = Allocate(utf8.Length);
        utf8.CopyTo(bytes);
        return new SecretValue(bytes, borrowed);
    }

    private void Wipe()
    {
        CryptographicOperations.ZeroMemory(_utf8);
        _utf8 = null;
    }

    private sealed class RefusingJsonConverter : JsonConverter<SecretValue>
    {
        private const string Refusal = "A SecretValue is never written to or read from JSON. Reveal it in so many words where it must leave.";

        public override SecretValue Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            throw new NotSupportedException(Refusal);

        public override void Write(Utf8JsonWriter writer, SecretValue value, JsonSerializerOptions options) =>
            throw new NotSupportedException(Refusal);
    }
}
