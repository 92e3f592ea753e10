using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using CsCheck;
using Mallku.Secrets.Models;

namespace Mallku.Secrets.Tests.Models;

/// <summary>What opens, what does not, and what a document shows.</summary>
public sealed class SecuredModelSealTests
{
    private static readonly JsonSerializerOptions Otherwise = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static SealContext Place => SampleModels.Place;

    [Fact]
    public void What_was_sealed_opens_also_when_a_medium_wrote_it_anew() => SampleModels.Heads.Sample(
        head =>
        {
            var model = SampleModels.Open(SampleModels.Fresh());
            var document = model.Seal(head, Place).Json;
            Assert.Equal(head, model.Open(document, Place));

            var members = JsonNode.Parse(document.Span)!.AsObject().Reverse().ToDictionary(pair => pair.Key, pair => pair.Value, StringComparer.Ordinal);
            Assert.Equal(head, model.Open(JsonSerializer.SerializeToUtf8Bytes(members, Otherwise), Place));
        },
        iter: 300);

    [Theory]
    [InlineData("1500", "1.5E3", "15e+02", "1500.00", "0.15e4")]
    [InlineData("0", "-0", "0.00", "0e7", "-0.0E-9")]
    [InlineData("-0.25", "-25e-2", "-0.2500", "-2.5E-1", "-0.25e0")]
    [InlineData("12345678901234567890123", "1.2345678901234567890123E22", "12345678901234567890123.0", "12345678901234567890123e0", "123456789012345678901230e-1")]
    public void A_medium_may_write_a_number_otherwise_and_not_another_number(string number, params string[] same)
    {
        Assert.All(same, other => Assert.Equal(Canonical(number), Canonical(other)));
        Assert.All(["1" + number.TrimStart('-'), "[" + number + "]", "\"" + number + "\""], other => Assert.NotEqual(Canonical(number), Canonical(other), StringComparer.Ordinal));
        Assert.Throws<JsonException>(() => Canonical("1e99999999999"));

    }

    [Theory]
    [InlineData("\"aü/b\"", "\"a\\u00fc/b\"", "\"\\u0061ü\\/b\"")]
    [InlineData("{\"ü\":\"\"}", "{\"\\u00FC\":\"\"}", "{ \"ü\" : \"\" }")]
    public void A_medium_may_write_a_text_with_other_escapes_and_not_another_text(string text, params string[] same)
    {
        Assert.All(same, other => Assert.Equal(Canonical(text), Canonical(other)));
        Assert.All([text.Replace('ü', 'u'), text.Replace("ü", "\\\\u00fc", StringComparison.Ordinal), "[" + text + "]"], other => Assert.NotEqual(Canonical(text), Canonical(other), StringComparer.Ordinal));
    }

    private static string Canonical(string json)
    {
        using var document = JsonDocument.Parse(json);
        var parts = new LengthPrefixed();
        CanonicalJson.Add(parts, document.RootElement);
        return Convert.ToHexString(parts.Bytes);
    }

    [Fact]
    public void Any_changed_bit_fails_or_changes_nothing()
    {
        var model = SampleModels.Open(SampleModels.Fresh());
        var document = model.Seal(SampleModels.Ana, Place).Json.ToArray();
        var same = 0;
        for (var bit = 0; bit < document.Length * 8; bit++)
        {
            document[bit / 8] ^= (byte)(1 << (bit % 8));
            try
            {
                Assert.Equal(SampleModels.Ana, model.Open(document, Place));
                same++;
            }
            catch (SecretsException)
            {
                // as it should be
            }

            document[bit / 8] ^= (byte)(1 << (bit % 8));
        }

        // the digits of the one escape, \u00FC, in upper case or lower
        Assert.Equal(2, same);
    }

    [Fact]
    public void A_part_of_a_document_fails()
    {
        var model = SampleModels.Open(SampleModels.Fresh());
        var document = model.Seal(SampleModels.Ana, Place).Json;
        for (var length = 0; length < document.Length; length++)
        {
            AssertFails(model, document[..length], Place);
        }

        Assert.All(["null", "[]", "1", "{}", """{"$seal":"\ud800"}""", """{"\ud800":1}""", """{"$format":"1"}"""], text =>
        {
            AssertFails(model, Encoding.UTF8.GetBytes(text), Place);
            Assert.Null(DocumentSeal.FindKeyId(Encoding.UTF8.GetBytes(text)));
        });
    }

    [Fact]
    public void A_document_says_its_key_wherever_a_medium_puts_that_and_not_within_another_member()
    {
        Assert.Equal("k1", DocumentSeal.FindKeyId("""{"a":{"$key":"k0"},"b":["$key","k0"],"\u0024key":"k1"}"""u8.ToArray()));
        Assert.Null(DocumentSeal.FindKeyId("""{"a":{"$key":"k0"}}"""u8.ToArray()));
        Assert.Null(DocumentSeal.FindKeyId("""{"$key":1,"a":"k0"}"""u8.ToArray()));
    }

    [Fact]
    public void A_document_opens_in_its_own_place_alone()
    {
        var model = SampleModels.Open(SampleModels.Fresh());
        var document = model.Seal(SampleModels.Ana, Place).Json;
        Assert.All(
            [
                Place with { Kind = "version" }, Place with { Id = "0a1b2d" }, Place with { Kind = "secret0", Id = "a1b2c" },
                Place with { Bound = new byte[] { 1, 2 } }, Place with { Bound = default },
            ],
            another => AssertFails(model, document, another));
        AssertFails(SampleModels.Open(SampleModels.Fresh(store: "store-2")), document, Place);
        AssertFails(SampleModels.Open(SampleModels.Fresh(key: 33)), document, Place);
    }

    [Fact]
    public void No_member_moves_within_a_record_or_from_another_writing_of_it_and_none_is_left_out()
    {
        var model = SampleModels.Open(SampleModels.Fresh());
        var document = JsonNode.Parse(model.Seal(SampleModels.Ana, Place).Json.Span)!.AsObject();
        var earlier = JsonNode.Parse(model.Seal(SampleModels.Ana with { Generation = 6, Owner = "bo ☂", Reviewer = "bo ☂" }, Place).Json.Span)!.AsObject();
        AssertOpens(document);
        foreach (var (name, value) in document.ToList())
        {
            AssertChanged(changed => changed.Remove(name));
            if (!JsonNode.DeepEquals(value, earlier[name]))
            {
                AssertChanged(changed => changed[name] = earlier[name]!.DeepClone());
            }

            foreach (var (other, _) in document.Where(pair => pair.Key != name))
            {
                AssertChanged(changed => (changed[name], changed[other]) = (document[other]!.DeepClone(), document[name]!.DeepClone()));
            }
        }

        AssertChanged(changed => changed["more"] = 1);
        AssertChanged(changed => changed["$names"] = new JsonObject());

        void AssertChanged(Action<JsonObject> change)
        {
            var changed = document.DeepClone().AsObject();
            change(changed);
            Assert.ThrowsAny<SecretsException>(() => model.Open(Encoding.UTF8.GetBytes(changed.ToJsonString()), Place));
        }

        void AssertOpens(JsonObject one) => Assert.Equal(SampleModels.Ana, model.Open(Encoding.UTF8.GetBytes(one.ToJsonString()), Place));
    }

    [Fact]
    public void The_current_key_seals_and_each_of_the_ring_opens()
    {
        var deployment = SampleModels.Fresh();
        var model = SampleModels.Open(deployment);
        var first = model.Seal(SampleModels.Ana, Place).Json;
        deployment.Keys.MakeCurrent(SampleModels.Key("k2", 99));
        var second = model.Seal(SampleModels.Ana, Place).Json;

        Assert.Equal(("k1", "k2"), (DocumentSeal.FindKeyId(first), DocumentSeal.FindKeyId(second)));
        Assert.Equal(SampleModels.Ana, model.Open(first, Place));
        Assert.Equal(SampleModels.Ana, model.Open(second, Place));

        // a machine that has not seen the new key yet
        var another = SampleModels.Fresh();
        AssertFails(SampleModels.Open(another), second, Place);
        another.Keys.Add(SampleModels.Key("k2", 99));
        Assert.Equal(SampleModels.Ana, SampleModels.Open(another).Open(second, Place));
        Assert.Equal("k1", another.Keys.Current.Id);
    }

    [Fact]
    public void A_document_shows_neither_names_nor_values_that_it_hides()
    {
        string[] hidden = ["name", "owner", "reviewer", "generation", "created", "due", "size", "plan", "rotator", "grace", "openai_api_key", "ana", "2026", "2036", "86400"];
        var model = SampleModels.Open(SampleModels.Fresh());
        var (json, terms) = model.Seal(SampleModels.Ana, Place);
        var text = Encoding.UTF8.GetString(json.Span);
        Assert.Contains("\"engine\":\"postgres", text, StringComparison.Ordinal);
        foreach (var shown in terms.Append(text))
        {
            Assert.All(hidden.SelectMany(Spellings), word => Assert.DoesNotContain(word, shown, StringComparison.OrdinalIgnoreCase));
        }

        var developers = new SecuredModel<Head>("head", SampleJson.Default.Head, SampleModels.Fresh() with { ShowNames = true });
        var withNames = developers.Seal(SampleModels.Ana, Place).Json;
        var names = JsonNode.Parse(withNames.Span)!["$names"]!.AsObject();
        Assert.Equal(["name", "owner", "reviewer", "generation", "created", "due", "size", "plan"], names.Select(pair => pair.Value!.GetValue<string>()), StringComparer.Ordinal);
        Assert.All(names, pair => Assert.NotNull(JsonNode.Parse(json.Span)![pair.Key]));
        Assert.Equal(SampleModels.Ana, model.Open(withNames, Place));

        // words that are too short would be found in a ciphertext by chance
        static IEnumerable<string> Spellings(string word) => word.Length < 5 ? [$"\"{word}"] : [word, Convert.ToHexString(Encoding.UTF8.GetBytes(word)), Convert.ToBase64String(Encoding.UTF8.GetBytes(word))[..^4]];
    }

    [Fact]
    public void The_failure_tells_no_value_and_what_to_do()
    {
        var model = SampleModels.Open(SampleModels.Fresh());
        var document = model.Seal(SampleModels.Ana, Place).Json;
        var error = Assert.Throws<RecordOpenException>(() => model.Open(document, Place with { Id = "other" }));
        Assert.Contains("'other' (secret)", error.Problem, StringComparison.Ordinal);
        Assert.Contains("backup", error.Remedy, StringComparison.Ordinal);
        Assert.Null(error.InnerException);
    }

    [Fact]
    public void What_a_newer_program_wrote_is_kept_and_written_back_under_the_new_key()
    {
        var deployment = SampleModels.Fresh();
        var (old, recent) = (SampleModels.Open(deployment), new SecuredModel<NewHead>("head", SampleJson.Default.NewHead, deployment));
        var written = new NewHead
        {
            Name = "n", Generation = 1, Purpose = new("canary", 3), Region = "AAAA", Zone = new("z", 1), Seen = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero),
        };

        var opened = old.Open(recent.Seal(written, Place).Json, Place);
        Assert.Equal(("n", 4), (opened.Name, opened.More!.Count));
        deployment.Keys.MakeCurrent(SampleModels.Key("k2", 99));
        var rewritten = old.Seal(opened with { Generation = 2 }, Place).Json;

        Assert.DoesNotContain("canary", Encoding.UTF8.GetString(rewritten.Span), StringComparison.Ordinal);
        var final = recent.Open(rewritten, Place);
        Assert.Equal(written with { Generation = 2 }, final with { More = null });
        Assert.Equal(opened.Owner, old.Open(old.Seal(opened, Place).Json, Place).Owner);
    }

    [Fact]
    public void Where_what_a_newer_program_wrote_can_not_be_kept_or_read_the_record_is_refused()
    {
        var deployment = SampleModels.Fresh();
        var bare = new SecuredModel<BareHead>("head", SampleJson.Default.BareHead, deployment);
        var error = Assert.Throws<SecretsException>(() => bare.Open(SampleModels.Open(deployment).Seal(SampleModels.Ana, Place).Json, Place));
        Assert.Contains("newest", error.Remedy, StringComparison.Ordinal);

        // without a member that this program can't do without
        var seal = new DocumentSeal(deployment.Keys.Current, deployment.StoreId, Place);
        Assert.Throws<SecretsException>(() => bare.Open(seal.Finish("""{"$format":1,"$key":"k1"}"""u8.ToArray()), Place));
        Assert.Throws<SecretsException>(() => SampleModels.Open(deployment).Open(seal.Finish("""{"$format":1,"$key":"k1","$future":1}"""u8.ToArray()), Place));
        Assert.Contains("newer format", Assert.Throws<SecretsException>(() => bare.Open("""{"$format":2}"""u8.ToArray(), Place)).Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("$seal")]
    [InlineData("$other")]
    public void A_record_takes_no_member_of_the_formats_own_along(string name)
    {
        var head = SampleModels.Ana with { More = new(StringComparer.Ordinal) { [name] = JsonDocument.Parse("1").RootElement } };
        Assert.Throws<ArgumentException>(() => SampleModels.Open(SampleModels.Fresh()).Seal(head, Place));
    }

    private static void AssertFails(SecuredModel<Head> model, ReadOnlyMemory<byte> document, SealContext place) =>
        Assert.Throws<RecordOpenException>(() => model.Open(document, place));
}
