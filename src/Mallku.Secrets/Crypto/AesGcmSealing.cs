using System.Security.Cryptography;

namespace Mallku.Secrets.Crypto;

/// <summary>
/// Authenticated encryption of bytes together with what they belong to: AES-256-GCM (NIST SP 800-38D) with a nonce of 96
/// bits; what it gives is nonce ‖ ciphertext ‖ tag. Safe for concurrent use, but for <see cref="Dispose"/>, which wipes the key.
/// </summary>
/// <remarks>
/// The nonce is random and fresh each time. Two equal ones under one key give the key's authentication away, and the chance of
/// that stays below 2^-32 for at most 2^32 messages under one key (SP 800-38D, 8.3): whoever keeps the key replaces it before.
/// </remarks>
internal sealed class AesGcmSealing : IDisposable
{
    internal const int KeyLength = 32;

    /// <summary>By how much a sealed message is longer.</summary>
    internal const int Overhead = NonceLength + TagLength;

    private const int NonceLength = 12, TagLength = 16;
    private readonly byte[] _key = SecretValue.Allocate(KeyLength);
    private readonly NonceSource _nonces;

    // the platform's objects are dear to make and not safe for several threads: whoever finds none makes one, and leaves it here
    private readonly IdleObjects<AesGcm> _idle = new();
    private volatile bool _wiped;

    /// <summary>Seals under a key of <see cref="KeyLength"/> bytes, which is copied.</summary>
    internal AesGcmSealing(ReadOnlySpan<byte> key)
        : this(key, RandomNumberGenerator.Fill)
    {
    }

    /// <summary>The same with nonces of the caller's: for published vectors.</summary>
    internal AesGcmSealing(ReadOnlySpan<byte> key, NonceSource nonces)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, KeyLength, nameof(key));
        key.CopyTo(_key);
        _nonces = nonces;
    }

    internal delegate void NonceSource(Span<byte> nonce);

    /// <summary>Seals into a new array.</summary>
    /// <param name="plaintext">What nobody may read.</param>
    /// <param name="associatedData">What it belongs to: not in the result, and needed to open it.</param>
    /// <exception cref="ObjectDisposedException">The key was wiped.</exception>
    internal byte[] Seal(ReadOnlySpan<byte> plaintext, ReadOnlySpan<byte> associatedData)
    {
        var message = new byte[plaintext.Length + Overhead];
        var nonce = message.AsSpan(0, NonceLength);
        _nonces(nonce);
        var engine = Borrow();
        engine.Encrypt(nonce, plaintext, message.AsSpan(NonceLength, plaintext.Length), message.AsSpan(^TagLength..), associatedData);
        GiveBack(engine);
        return message;
    }

    /// <summary>
    /// Opens what was sealed under this key with the same associated data. What is malformed, altered, moved or under another key
    /// is one and the same failure, which leaves nothing in the buffer.
    /// </summary>
    /// <param name="message">What <see cref="Seal"/> gave.</param>
    /// <param name="associatedData">What it belongs to.</param>
    /// <param name="plaintext">A buffer that is shorter than the message by exactly <see cref="Overhead"/>; any, where the message is too short to be one.</param>
    /// <exception cref="ObjectDisposedException">The key was wiped.</exception>
    internal bool TryOpen(ReadOnlySpan<byte> message, ReadOnlySpan<byte> associatedData, Span<byte> plaintext)
    {
        var engine = Borrow();
        try
        {
            if (message.Length < Overhead)
            {
                return false;
            }

            engine.Decrypt(message[..NonceLength], message[NonceLength..^TagLength], message[^TagLength..], plaintext, associatedData);
            return true;
        }
        catch (AuthenticationTagMismatchException)
        {
            return false;
        }
        finally
        {
            GiveBack(engine);
        }
    }

    ~AesGcmSealing() => CryptographicOperations.ZeroMemory(_key);

    public void Dispose()
    {
        _wiped = true;
        CryptographicOperations.ZeroMemory(_key);
        DisposeIdle();
        GC.SuppressFinalize(this);
    }

    private AesGcm Borrow()
    {
        var engine = _idle.Take() ?? new AesGcm(_key, TagLength);

        // a wiped key is all zeros, which works; it may have been wiped while the engine was made
        if (_wiped)
        {
            engine.Dispose();
            throw new ObjectDisposedException(nameof(AesGcmSealing));
        }

        return engine;
    }

    private void GiveBack(AesGcm engine)
    {
        if (!_idle.TryGive(engine))
        {
            engine.Dispose();
        }

        if (_wiped)
        {
            DisposeIdle();
        }
    }

    private void DisposeIdle()
    {
        while (_idle.Take() is { } engine)
        {
            engine.Dispose();
        }
    }
}
