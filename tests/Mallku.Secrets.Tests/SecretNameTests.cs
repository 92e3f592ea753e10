using CsCheck;

namespace Mallku.Secrets.Tests;

/// <summary>Which texts are names, and which names are taken for each other.</summary>
public sealed class SecretNameTests
{
    private const string Allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    private static readonly Gen<string> Names = Gen.String[Gen.Char[Allowed], 1, SecretName.MaxLength];

    [Fact]
    public void A_text_of_allowed_characters_is_a_name() => Names.Sample(text => Assert.Equal(text, SecretName.Parse(text).ToString()));

    [Fact]
    public void Any_other_character_anywhere_makes_it_none() =>
        Gen.Select(Gen.String[Gen.Char[Allowed], 0, 20], Gen.Char.Where(c => !Allowed.Contains(c)), Gen.String[Gen.Char[Allowed], 0, 20]).Sample(
            (before, bad, after) => AssertNoName(before + bad + after));

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("../key")]
    [InlineData("key\n")]
    [InlineData("key\0")]
    [InlineData("schlüssel")]
    [InlineData("ｋｅｙ")]
    [InlineData("$mallku")]
    public void These_are_no_names(string text) => AssertNoName(text);

    [Fact]
    public void A_name_ends_at_its_greatest_length()
    {
        Assert.True(SecretName.TryParse(new string('a', SecretName.MaxLength), out _));
        AssertNoName(new string('a', SecretName.MaxLength + 1));
    }

    // the text may come from a file or an argument of somebody else's, and goes to a terminal
    [Fact]
    public void The_error_writes_nothing_but_one_short_line() => Gen.String[Gen.Char, 0, 400].Sample(text =>
    {
        if (SecretName.TryParse(text, out _))
        {
            return;
        }

        var message = Assert.Throws<SecretNameException>(() => SecretName.Parse(text)).Message;
        Assert.DoesNotContain(message, c => char.IsControl(c) || char.IsSurrogate(c) || c is '\u2028' or '\u2029');
        Assert.InRange(message.Length, 1, 200);
    });

    [Theory]
    [InlineData("openai_api_key", "OPENAI_API_KEY")]
    [InlineData("db.main-password", "DB_MAIN_PASSWORD")]
    [InlineData("Key2", "KEY2")]
    public void A_name_has_its_variable(string name, string variable) =>
        Assert.Equal(variable, SecretName.Parse(name).ToEnvironmentVariable());

    [Fact]
    public void A_variable_has_no_other_characters_than_a_shell_takes() => Names.Sample(text =>
    {
        var variable = SecretName.Parse(text).ToEnvironmentVariable();
        Assert.Equal(text.Length, variable.Length);
        Assert.All(variable, c => Assert.True(char.IsAsciiLetterUpper(c) || char.IsAsciiDigit(c) || c == '_'));
    });

    [Theory]
    [InlineData("openai_api_key", "OpenAI-API-Key", true)]
    [InlineData("key", "KEY", true)]
    [InlineData("a.b", "a_b", false)]
    [InlineData("a-b", "ab", false)]
    public void A_loose_match_ignores_case_and_the_kind_of_dash(string left, string right, bool matches)
    {
        SecretName first = SecretName.Parse(left), second = SecretName.Parse(right);
        Assert.Equal(matches, first.MatchesLoosely(second));
        Assert.Equal(matches, second.MatchesLoosely(first));
        Assert.NotEqual(first, second);
    }

    [Fact]
    public void Another_spelling_is_another_name_that_matches_loosely() => Names.Sample(text =>
    {
        var name = SecretName.Parse(text);
        var other = SecretName.Parse(text.ToUpperInvariant().Replace('_', '-'));

        Assert.True(name.MatchesLoosely(other));
        Assert.Equal(string.Equals(text, other.ToString(), StringComparison.Ordinal), name == other);
        Assert.True(name != other || name.GetHashCode() == other.GetHashCode());
    });

    [Fact]
    public void Names_that_match_loosely_are_classes_and_share_their_variable()
    {
        // few letters, so that names match often enough
        var alike = Gen.String[Gen.Char["aAbB-_."], 1, 3].Select(SecretName.Parse);
        Gen.Select(alike, alike, alike).Sample(
            (a, b, c) =>
            {
                Assert.True(a.MatchesLoosely(a));
                Assert.Equal(a.MatchesLoosely(b), b.MatchesLoosely(a));
                Assert.True(!a.MatchesLoosely(b) || !b.MatchesLoosely(c) || a.MatchesLoosely(c));
                Assert.True(!a.MatchesLoosely(b) || string.Equals(a.ToEnvironmentVariable(), b.ToEnvironmentVariable(), StringComparison.Ordinal));
            },
            iter: 5000);
    }

    [Fact]
    public void A_variable_finds_the_name_again_unless_it_has_a_dot() => Names.Sample(text =>
    {
        var variable = SecretName.Parse(SecretName.Parse(text).ToEnvironmentVariable());
        Assert.Equal(!text.Contains('.', StringComparison.Ordinal), variable.MatchesLoosely(SecretName.Parse(text)));
    });

    [Theory]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("a\u001b[2Jb")]
    public void The_error_names_the_rules(string text)
    {
        var error = Assert.Throws<SecretNameException>(() => SecretName.Parse(text));
        Assert.Equal("use 1 to 255 ASCII letters, digits, '.', '_' and '-'", error.Remedy);
        Assert.Contains(error.Remedy, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("openai_api_key")]
    [InlineData("aws_secret_access_key_2026")]
    [InlineData("MY_SERVICE_KEY_V2")]
    [InlineData("GoogleServiceAccountForProduction")]
    [InlineData("myservicekeyversion2")]
    [InlineData("oauth2clientcredentials")]
    [InlineData("k8s-v1-s3-ec2-prod1-key")]
    [InlineData("db.main-password.2026-11-24")]
    [InlineData("sk_backup")]
    [InlineData("hf_token")]
    [InlineData("hf_inference_endpoints_of_production")]
    [InlineData("AzureOpenAiServiceKeyForProductionInWestEurope2026")]
    [InlineData("nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn")]
    [InlineData("xai-api-key")]
    [InlineData("github_pat_work")]
    [InlineData("AKIA_production")]
    [InlineData("550e8400-e29b-41d4-a716-446655440000")]
    [InlineData("deadbeef")]
    [InlineData("a1b2c3d4e5f6a7b")]
    [InlineData("0123456789012345678901234567")]
    public void These_are_shown_when_nobody_has_them(string text) => Assert.False(SecretName.MayBeValue(text));

    // made up, in the forms that providers use
    [Theory]
    [InlineData("sk-1")]
    [InlineData("sk-proj-4fA81kq_W6tX0bN5cJ7q8Zr3vK1mW6tX0bN5cJ7")]
    [InlineData("sk-ant-api03-abcdefghijk_lmnopqrst-uvwxyz")]
    [InlineData("gsk_q8Zr3vK1mW6tX0bN5cJ7q8Zr3vK1mW6t")]
    [InlineData("xai-q8Zr3vK1mW6tX0bN5cJ7q8Zr3vK1mW6tX0bN5cJ7")]
    [InlineData("hf_abcdefghijklmnopqrSTUVWXYZabcdefgh")]
    [InlineData("AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q")]
    [InlineData("ghp_q8Zr3vK1mW6tX0bN5cJ7q8Zr3vK1mW6tX0bN")]
    [InlineData("q8Zr3vK1mW6tX0bN")]
    [InlineData("d41d8cd98f00b204e9800998ecf8427e")]
    [InlineData("da39a3ee5e6b4b0d3255bfef95601890afd80709")]
    [InlineData("550e8400e29b41d4a716446655440000")]
    [InlineData("my_key_is_a1b2c3d4e5f6a7b8")]
    public void These_may_be_values_when_nobody_has_them(string text) => Assert.True(SecretName.MayBeValue(text));

    [Fact]
    public void The_default_is_no_name_and_harms_nothing()
    {
        SecretName none = default;
        Assert.Equal(("", "", false), (none.ToString(), none.ToEnvironmentVariable(), none.IsValid));
        Assert.False(none.MatchesLoosely(SecretName.Parse("a")));
    }

    private static void AssertNoName(string text)
    {
        Assert.False(SecretName.TryParse(text, out var name));
        Assert.Equal(default, name);
        Assert.Throws<SecretNameException>(() => SecretName.Parse(text));
    }
}
