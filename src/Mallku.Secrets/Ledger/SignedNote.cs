using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;

namespace Mallku.Secrets.Ledger;

/// <summary>The public half of a key that signs notes, by its name; its text form is a verifier key (vkey).</summary>
internal sealed class NoteVerifier
{
    private const byte Ed25519Type = 1;
    private const int KeyIdLength = 4;
    private readonly PublicKey _key;

    internal NoteVerifier(string name, PublicKey key)
    {
        Name = name;
        _key = key;
        KeyId = ComputeKeyId(name, key.Export(KeyBlobFormat.RawPublicKey));
    }

    internal string Name { get; }

    internal uint KeyId { get; }

    /// <summary>Reads <c>name+hexkeyid+base64(type ‖ key)</c>; null where it is none, or not of Ed25519.</summary>
    internal static NoteVerifier? Parse(string text)
    {
        SignedNote.RequireLibrary();
        var parts = text.Trim().Split('+', 3);
        if (parts.Length != 3 || !SignedNote.IsKeyName(parts[0]))
        {
            return null;
        }

        Span<byte> bytes = stackalloc byte[1 + 32];
        if (!Convert.TryFromBase64String(parts[2], bytes, out var length) || length != bytes.Length || bytes[0] != Ed25519Type
            || !PublicKey.TryImport(SignatureAlgorithm.Ed25519, bytes[1..], KeyBlobFormat.RawPublicKey, out var key))
        {
            return null;
        }

        var verifier = new NoteVerifier(parts[0], key!);
        return verifier.ToString() == text.Trim() ? verifier : null;
    }

    internal bool Verify(ReadOnlySpan<byte> text, ReadOnlySpan<byte> signature) => SignatureAlgorithm.Ed25519.Verify(_key, text, signature);

    /// <summary>The verifier key, to be kept and handed on: it is public.</summary>
    public override string ToString()
    {
        byte[] bytes = [Ed25519Type, .. _key.Export(KeyBlobFormat.RawPublicKey)];
        return $"{Name}+{KeyId:x8}+{Convert.ToBase64String(bytes)}";
    }

    private static uint ComputeKeyId(string name, ReadOnlySpan<byte> key)
    {
        byte[] input = [.. Encoding.UTF8.GetBytes(name), (byte)'\n', Ed25519Type, .. key];
        return BinaryPrimitives.ReadUInt32BigEndian(SHA256.HashData(input).AsSpan(0, KeyIdLength));
    }
}

/// <summary>
/// Text and a signature in the form of a signed note (C2SP signed-note, v1.0.0): the text, an empty line, and lines
/// <c>— name base64(key id ‖ signature)</c>.
/// </summary>
internal static class SignedNote
{
    internal const int MaxLength = 1 << 16;
    private const int SignatureLength = 4 + 64, MostSignatures = 16;
    private const string Dash = "\u2014 ";

    /// <summary>Says what is missing where the library that signs can't be loaded.</summary>
    /// <exception cref="LedgerException">It can't.</exception>
    internal static void RequireLibrary()
    {
        try
        {
            _ = SignatureAlgorithm.Ed25519;
        }
        catch (Exception e) when (e is DllNotFoundException or TypeInitializationException or PlatformNotSupportedException or EntryPointNotFoundException)
        {
            throw new LedgerException(
                "the ledger needs the library libsodium, which can't be loaded",
                "put libsodium.so, which is published with mallku, beside it; or go on without a trace: --no-ledger",
                e);
        }
    }

    internal static string Sign(string text, NoteVerifier signer, Key key)
    {
        Span<byte> signature = stackalloc byte[SignatureLength];
        BinaryPrimitives.WriteUInt32BigEndian(signature, signer.KeyId);
        SignatureAlgorithm.Ed25519.Sign(key, Encoding.UTF8.GetBytes(text), signature[4..]);
        return $"{text}\n{Dash}{signer.Name} {Convert.ToBase64String(signature)}\n";
    }

    /// <summary>The text of a note that the verifier's key signed; null for every other one.</summary>
    internal static string? Open(ReadOnlySpan<byte> note, NoteVerifier verifier)
    {
        if (note.Length > MaxLength || !System.Text.Unicode.Utf8.IsValid(note))
        {
            return null;
        }

        var whole = Encoding.UTF8.GetString(note);
        var split = whole.LastIndexOf("\n\n", StringComparison.Ordinal);
        if (split < 0 || split + 2 >= whole.Length || !whole.EndsWith('\n') || whole.AsSpan().ContainsAnyInRange('\0', '\t') || whole.AsSpan().ContainsAnyInRange('\v', '\x1f'))
        {
            return null;
        }

        var text = whole[..(split + 1)];
        var lines = whole[(split + 2)..^1].Split('\n');
        var signed = false;
        foreach (var line in lines)
        {
            if (lines.Length > MostSignatures || ParseSignature(line) is not { } signature)
            {
                return null;
            }

            if (signature.Name == verifier.Name && BinaryPrimitives.ReadUInt32BigEndian(signature.Bytes) == verifier.KeyId)
            {
                if (!verifier.Verify(Encoding.UTF8.GetBytes(text), signature.Bytes.AsSpan(4)))
                {
                    return null;
                }

                signed = true;
            }
        }

        return signed ? text : null;
    }

    internal static bool IsKeyName(string name) => name.Length > 0 && !name.Any(static c => c == '+' || char.IsWhiteSpace(c));

    private static (string Name, byte[] Bytes)? ParseSignature(string line)
    {
        var parts = line.StartsWith(Dash, StringComparison.Ordinal) ? line[Dash.Length..].Split(' ') : [];
        if (parts.Length != 2 || !IsKeyName(parts[0]))
        {
            return null;
        }

        var bytes = new byte[parts[1].Length];
        return Convert.TryFromBase64String(parts[1], bytes, out var length) && length > 4 && Convert.ToBase64String(bytes, 0, length) == parts[1]
            ? (parts[0], bytes[..length])
            : null;
    }
}
