using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Mallku.Secrets.Crypto;

/// <summary>
/// Authenticated encryption into a text token, as the Fernet specification says (version 0x80: AES-128-CBC with PKCS#7,
/// then HMAC-SHA256 over everything before it; url-safe base64 with padding).
/// </summary>
/// <remarks>
/// With several keys the first encrypts and all decrypt. A token that is malformed, forged, expired or under another
/// key is one and the same failure. Safe for concurrent use, but for <see cref="Dispose"/>, which wipes the keys.
/// </remarks>
public sealed class Fernet : IDisposable
{
    /// <summary>The characters of a key: url-safe base64 with padding of 32 bytes.</summary>
    public const int KeyLength = 44;

    private const byte Version = 0x80;
    private const int TimeOffset = 1, IvOffset = 9, CiphertextOffset = 25, BlockLength = 16, MacLength = HMACSHA256.HashSizeInBytes;
    private const int MinPayloadLength = CiphertextOffset + BlockLength + MacLength;
    private const int OnStack = 512;
    private static readonly TimeSpan MaxClockSkew = TimeSpan.FromSeconds(60);
    private readonly TimeProvider _clock;
    private readonly FernetKey[] _keys;

    /// <summary>Tokens under these keys, timed by the system's clock.</summary>
    /// <param name="keys">One or more of <see cref="KeyLength"/> characters each; they stay the caller's.</param>
    /// <exception cref="ArgumentException">There is no key, or one is not of that form.</exception>
    public Fernet(params ReadOnlySpan<SecretValue> keys)
        : this(TimeProvider.System, keys)
    {
    }

    /// <summary>Tokens under these keys, timed by a clock of the caller's.</summary>
    /// <inheritdoc cref="Fernet(ReadOnlySpan{SecretValue})"/>
    public Fernet(TimeProvider clock, params ReadOnlySpan<SecretValue> keys)
    {
        ArgumentNullException.ThrowIfNull(clock);
        if (keys.IsEmpty)
        {
            throw new ArgumentException("At least one key is needed.", nameof(keys));
        }

        _clock = clock;
        _keys = new FernetKey[keys.Length];
        try
        {
            for (var i = 0; i < keys.Length; i++)
            {
                _keys[i] = keys[i] is { } text && FernetKey.TryParse(text.Bytes, out var key)
                    ? key
                    : throw new ArgumentException($"Key {i + 1} is not {KeyLength} characters of url-safe base64.", nameof(keys));
                GC.KeepAlive(keys[i]);
            }
        }
        catch
        {
            // nobody else can wipe the keys before the bad one
            Dispose();
            throw;
        }
    }

    /// <summary>A fresh random key, to be disposed by the caller.</summary>
    public static SecretValue GenerateKey()
    {
        Span<byte> key = stackalloc byte[FernetKey.Length];
        var text = SecretValue.Allocate(KeyLength);
        RandomNumberGenerator.Fill(key);
        PaddedBase64Url.Encode(key, text);
        CryptographicOperations.ZeroMemory(key);
        return SecretValue.Adopt(text);
    }

    /// <summary>The exact length in bytes of the token for a plaintext of that many bytes.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The length is negative, or the token would not fit into an array.</exception>
    public static int GetTokenLength(int plaintextLength)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(plaintextLength);
        var length = PaddedBase64Url.GetEncodedLength(GetPayloadLength(plaintextLength));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Array.MaxLength, nameof(plaintextLength));
        return (int)length;
    }

    /// <summary>
    /// A length in bytes that the plaintext of a token of that many bytes does not exceed, and with which it is
    /// decrypted without a copy. 0 where no token has that length.
    /// </summary>
    public static int GetMaxPlaintextLength(int tokenLength) => Math.Max(0, GetMaxPayloadLength(tokenLength) - CiphertextOffset - MacLength);

    /// <summary>
    /// When a token says that it was made, in whole seconds. Only its beginning is read: the time is not authenticated,
    /// and the rest may be no token at all, unless the token also decrypts.
    /// </summary>
    /// <returns>False where it does not begin like a token, is too short for one, or has a time beyond the year 9999.</returns>
    public static bool TryGetTimestamp(ReadOnlySpan<byte> token, out DateTimeOffset time)
    {
        Span<byte> start = stackalloc byte[12];
        time = default;
        return token.Length >= PaddedBase64Url.GetEncodedLength(MinPayloadLength)
            && PaddedBase64Url.TryDecode(token[..16], start, out _)
            && start[0] == Version
            && TryReadTime(start, out time);
    }

    /// <summary>Encrypts into a new token.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The token would not fit into an array.</exception>
    /// <exception cref="ObjectDisposedException">The keys were wiped.</exception>
    public byte[] Encrypt(ReadOnlySpan<byte> plaintext)
    {
        var token = GC.AllocateUninitializedArray<byte>(GetTokenLength(plaintext.Length));
        Encrypt(plaintext, token);
        return token;
    }

    /// <summary>Encrypts into a buffer and returns the token's length, which <see cref="GetTokenLength"/> tells before.</summary>
    /// <exception cref="ArgumentException"><paramref name="token"/> is too short.</exception>
    /// <exception cref="ObjectDisposedException">The keys were wiped.</exception>
    public int Encrypt(ReadOnlySpan<byte> plaintext, Span<byte> token) =>
        Encrypt(plaintext, token, _clock.GetUtcNow().ToUnixTimeSeconds(), iv: default);

    /// <summary>The same with a time in seconds and, where it is not empty, an IV of the caller's: for published vectors.</summary>
    internal int Encrypt(ReadOnlySpan<byte> plaintext, Span<byte> token, long time, ReadOnlySpan<byte> iv)
    {
        var tokenLength = GetTokenLength(plaintext.Length);
        if (token.Length < tokenLength)
        {
            throw new ArgumentException($"The token needs {tokenLength} bytes.", nameof(token));
        }

        var payloadLength = (int)GetPayloadLength(plaintext.Length);
        byte[]? rented = null;
        var payload = payloadLength <= OnStack ? stackalloc byte[OnStack] : rented = ArrayPool<byte>.Shared.Rent(payloadLength);
        try
        {
            payload = payload[..payloadLength];
            payload[0] = Version;
            BinaryPrimitives.WriteInt64BigEndian(payload[TimeOffset..], time);
            _keys[0].Encrypt(plaintext, iv, payload.Slice(IvOffset, BlockLength), payload[CiphertextOffset..^MacLength]);
            _keys[0].Sign(payload[..^MacLength], payload[^MacLength..]);
            PaddedBase64Url.Encode(payload, token);
            return tokenLength;
        }
        finally
        {
            Return(rented);
        }
    }

    /// <summary>Decrypts into a new array.</summary>
    /// <param name="token">The token, without white space around it.</param>
    /// <param name="timeToLive">
    /// How old it may be. When given, a token from more than 60 seconds in the future is refused too.
    /// </param>
    /// <exception cref="ObjectDisposedException">The keys were wiped.</exception>
    /// <exception cref="CryptographicException">The token is malformed, forged, expired or under another key.</exception>
    public byte[] Decrypt(ReadOnlySpan<byte> token, TimeSpan? timeToLive = null)
    {
        var most = GetMaxPayloadLength(token.Length);
        byte[]? rented = null;
        var payload = most <= OnStack ? stackalloc byte[OnStack] : rented = ArrayPool<byte>.Shared.Rent(most);
        try
        {
            if (!TryAuthenticate(token, payload, timeToLive, out var key, out var length))
            {
                throw Invalid();
            }

            var iv = payload.Slice(IvOffset, BlockLength);
            var ciphertext = payload[CiphertextOffset..(length - MacLength)];
            return key.Decrypt(ciphertext, iv) ?? throw Invalid();
        }
        finally
        {
            Return(rented);
        }
    }

    /// <summary>Decrypts into a buffer, or says that the token can't be decrypted.</summary>
    /// <param name="token">The token, without white space around it.</param>
    /// <param name="plaintext">The buffer; <see cref="GetMaxPlaintextLength"/> tells a length that is enough.</param>
    /// <param name="written">How many bytes of it were written.</param>
    /// <param name="timeToLive">
    /// How old it may be. When given, a token from more than 60 seconds in the future is refused too.
    /// </param>
    /// <exception cref="ObjectDisposedException">The keys were wiped.</exception>
    /// <exception cref="ArgumentException"><paramref name="plaintext"/> is too short for what the token holds.</exception>
    public bool TryDecrypt(ReadOnlySpan<byte> token, Span<byte> plaintext, out int written, TimeSpan? timeToLive = null)
    {
        written = 0;
        var most = GetMaxPayloadLength(token.Length);
        byte[]? rented = null;
        var payload = most <= OnStack ? stackalloc byte[OnStack] : rented = ArrayPool<byte>.Shared.Rent(most);
        try
        {
            if (!TryAuthenticate(token, payload, timeToLive, out var key, out var length))
            {
                return false;
            }

            var iv = payload.Slice(IvOffset, BlockLength);
            var ciphertext = payload[CiphertextOffset..(length - MacLength)];
            if (plaintext.Length >= ciphertext.Length)
            {
                return key.TryDecrypt(ciphertext, iv, plaintext, PaddingMode.PKCS7, out written);
            }

            if (key.Decrypt(ciphertext, iv) is not { } decrypted)
            {
                return false;
            }

            var fits = decrypted.AsSpan().TryCopyTo(plaintext);
            CryptographicOperations.ZeroMemory(decrypted);
            written = fits ? decrypted.Length : throw new ArgumentException($"The plaintext needs {decrypted.Length} bytes.", nameof(plaintext));
            return true;
        }
        finally
        {
            Return(rented);
        }
    }

    /// <summary>Wipes the keys. Nothing can be encrypted or decrypted afterwards.</summary>
    public void Dispose()
    {
        foreach (FernetKey? key in _keys)
        {
            key?.Dispose();
        }
    }

    internal static bool IsKey(ReadOnlySpan<byte> text)
    {
        var valid = FernetKey.TryParse(text, out var key);
        key?.Dispose();
        return valid;
    }

    // the MAC over the whole token comes first; nothing is decrypted that does not carry it
    private bool TryAuthenticate(
        ReadOnlySpan<byte> token, Span<byte> payload, TimeSpan? timeToLive, [NotNullWhen(true)] out FernetKey? key, out int length)
    {
        key = null;
        return PaddedBase64Url.TryDecode(token, payload, out length)
            && length >= MinPayloadLength
            && (length - CiphertextOffset - MacLength) % BlockLength == 0
            && payload[0] == Version
            && IsTimely(payload, timeToLive)
            && TryFindKey(payload[..length], out key);
    }

    private bool TryFindKey(ReadOnlySpan<byte> payload, [NotNullWhen(true)] out FernetKey? found)
    {
        Span<byte> mac = stackalloc byte[MacLength];
        foreach (var key in _keys)
        {
            key.Sign(payload[..^MacLength], mac);
            if (CryptographicOperations.FixedTimeEquals(mac, payload[^MacLength..]))
            {
                found = key;
                return true;
            }
        }

        found = null;
        return false;
    }

    private bool IsTimely(ReadOnlySpan<byte> payload, TimeSpan? timeToLive)
    {
        if (timeToLive is not { } allowed)
        {
            return true;
        }

        // Whole seconds on both sides, as a token has them and as Python compares. A difference of two times that were
        // both checked to be within the calendar can't overflow.
        return TryReadTime(payload, out var time)
            && DateTimeOffset.FromUnixTimeSeconds(_clock.GetUtcNow().ToUnixTimeSeconds()) - time is var age
            && age <= allowed
            && age >= -MaxClockSkew;
    }

    private static bool TryReadTime(ReadOnlySpan<byte> payload, out DateTimeOffset time)
    {
        var seconds = BinaryPrimitives.ReadUInt64BigEndian(payload[TimeOffset..]);
        var representable = seconds <= (ulong)DateTimeOffset.MaxValue.ToUnixTimeSeconds();
        time = representable ? DateTimeOffset.FromUnixTimeSeconds((long)seconds) : default;
        return representable;
    }

    private static int GetMaxPayloadLength(int tokenLength) => tokenLength / 4 * 3;

    private static long GetPayloadLength(int plaintextLength) =>
        CiphertextOffset + (((long)plaintextLength / BlockLength) + 1) * BlockLength + MacLength;

    private static void Return(byte[]? rented)
    {
        if (rented is not null)
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    private static CryptographicException Invalid() => new("The token is not valid.");
}
