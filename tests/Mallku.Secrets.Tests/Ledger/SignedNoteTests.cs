using System.Text;
using Mallku.Secrets.Ledger;
using NSec.Cryptography;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>Signed notes: the example of Go's golang.org/x/mod/sumdb/note, and what is no note.</summary>
public sealed class SignedNoteTests
{
    private const string VerifierKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    private const string SignerKey = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    private const string Text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    private const string Signature = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    private const string Note = Text + "\n" + Signature;

    private readonly NoteVerifier _verifier = NoteVerifier.Parse(VerifierKey)!;

    [Fact]
    public void Signs_and_opens_the_published_example()
    {
        using var key = Key.Import(SignatureAlgorithm.Ed25519, Convert.FromBase64String(SignerKey).AsSpan(1), KeyBlobFormat.RawPrivateKey);
        Assert.Equal(VerifierKey, new NoteVerifier("PeterNeumann", key.PublicKey).ToString());
        Assert.Equal(Note, SignedNote.Sign(Text, _verifier, key));
        Assert.Equal(Text, Open(Note));
        Assert.Equal(VerifierKey, NoteVerifier.Parse(VerifierKey + "\n")!.ToString());
    }

    [Fact]
    public void Passes_over_the_signatures_of_other_keys()
    {
        const string witness = "— witness.example mJirIklj0ayqY9v2B/5bg8Dy8zfR5GQ7e2yD0f8Z3Zk=\n";
        Assert.Equal(Text, Open(Note + witness));
        Assert.Equal(Text, Open(Text + "\n" + witness + Signature));
        Assert.Null(Open(Text + "\n" + witness));
    }

    [Fact]
    public void Opens_nothing_in_which_a_bit_is_another()
    {
        var bytes = Encoding.UTF8.GetBytes(Note);
        for (var bit = 0; bit < 8 * bytes.Length; bit++)
        {
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.Null(SignedNote.Open(bytes, _verifier));
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
        }
    }

    [Fact]
    public void Opens_nothing_that_is_cut()
    {
        var bytes = Encoding.UTF8.GetBytes(Note);
        for (var length = 0; length < bytes.Length; length++)
        {
            Assert.Null(SignedNote.Open(bytes.AsSpan(0, length), _verifier));
        }
    }

    [Theory]
    [InlineData("PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")]
    [InlineData("PeterNeumanm+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")]
    [InlineData("PeterNeumann+c74f20a3+AhpcW2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")]
    [InlineData("PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")]
    [InlineData("+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")]
    [InlineData("PeterNeumann+c74f20a3")]
    [InlineData("")]
    public void Takes_nothing_else_for_a_key(string text) => Assert.Null(NoteVerifier.Parse(text));

    private string? Open(string note) => SignedNote.Open(Encoding.UTF8.GetBytes(note), _verifier);
}
