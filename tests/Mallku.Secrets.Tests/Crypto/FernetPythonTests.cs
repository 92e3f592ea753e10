using System.Diagnostics;
using System.Text;
using CsCheck;
using Mallku.Secrets.Crypto;

namespace Mallku.Secrets.Tests.Crypto;

/// <summary>Both ways between this Fernet and the one of Python's <c>cryptography</c>.</summary>
public sealed class FernetPythonTests : IDisposable
{
    private static readonly Gen<byte[]> Plaintexts = Gen.OneOf(Gen.Byte.Array[0, 100], Gen.Byte.Array[0, 5_000]);

    private readonly SecretValue _key = Fernet.GenerateKey();
    private readonly Fernet _fernet;
    private readonly Process _python;

    public FernetPythonTests()
    {
        Requires.PythonCryptography();
        _fernet = new Fernet(_key);
        _python = Process.Start(new ProcessStartInfo(Requires.Python, [Path.Combine(AppContext.BaseDirectory, "Crypto", "fernet_peer.py")])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
    }

    public void Dispose()
    {
        _python.StandardInput.Close();
        _python.WaitForExit();
        _python.Dispose();
        _fernet.Dispose();
        _key.Dispose();
    }

    [Fact]
    public void Python_reads_what_is_written_here() => Plaintexts.Sample(
        plaintext => Assert.Equal(
            Convert.ToBase64String(plaintext),
            Ask($"decrypt {_key.RevealString()} {Encoding.ASCII.GetString(_fernet.Encrypt(plaintext))}")),
        iter: 200, threads: 1);

    [Fact]
    public void What_Python_writes_is_read_here() => Plaintexts.Sample(
        plaintext =>
        {
            var token = Encoding.ASCII.GetBytes(Ask($"encrypt {_key.RevealString()} {Convert.ToBase64String(plaintext)}"));
            Assert.Equal(plaintext, _fernet.Decrypt(token, TimeSpan.FromHours(1)));
        },
        iter: 200, threads: 1);

    private string Ask(string request)
    {
        _python.StandardInput.Write(request + "\n");
        _python.StandardInput.Flush();
        return _python.StandardOutput.ReadLine() ?? throw new InvalidOperationException("Python has gone; its standard error says why.");
    }
}
