using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Mallku.Secrets.Models;

namespace Mallku.Secrets.Tests.Models;

/// <summary>A record type that contradicts itself is refused before anything is sealed, with the reason.</summary>
public sealed partial class SecuredRulesTests
{
    private static readonly Deployment Store = SampleModels.Fresh();

    [Fact]
    public void A_property_that_contradicts_itself_is_refused_with_the_reason()
    {
        AssertRefused(Json.Default.Silent, "Silent.Value does not say how it is kept");
        AssertRefused(Json.Default.ShownByIndex, "ShownByIndex.Value is encrypted, and an Identity index would show it");
        AssertRefused(Json.Default.BlindRange, "BlindRange.Value is searched by ranges, and a Blind index finds equal values only");
        AssertRefused(Json.Default.DeterministicRange, "DeterministicRange.Value is searched by ranges, and a Deterministic index");
        AssertRefused(Json.Default.NoIndexRange, "NoIndexRange.Value is searched by ranges, and has no index");
        AssertRefused(Json.Default.ShiftedText, "ShiftedText.Value has a TemporalOffset, and is no DateTimeOffset");
        AssertRefused(Json.Default.NoWidth, "NoWidth.Value is Bucketed, and has no BucketWidth");
        AssertRefused(Json.Default.WideBuckets, "WideBuckets.Value has buckets that are too wide");
        AssertRefused(Json.Default.TextBuckets, "TextBuckets.Value is Bucketed, and is a text");
        AssertRefused(Json.Default.WidthOfNothing, "WidthOfNothing.Value has a width of buckets, and its index is not Bucketed");
        AssertRefused(Json.Default.GroupOfNothing, "GroupOfNothing.Value is in a group, and its index is not Deterministic");
        AssertRefused(Json.Default.IndexedList, "IndexedList.Value has an index, and is no string, int, long or DateTimeOffset");
        AssertRefused(Json.Default.Unwritten, "Unwritten.Value says how it is kept, and is never written");
        AssertRefused(Json.Default.Reserved, "Reserved.$key has a name of the format's own");
    }

    [Fact]
    public void Properties_that_contradict_each_other_are_refused_with_the_reason()
    {
        AssertRefused(Json.Default.OffsetShown, "OffsetShown.Open shows a time, and so the secret offset that hides Hidden");
        AssertRefused(Json.Default.MixedGroup, "MixedGroup has fields in clear and encrypted ones in the group 'g'");
        AssertRefused(Json.Default.ManyIndexes, "ManyIndexes has more than 8 indexes");
        AssertRefused(Json.Default.StringArray, "String[] is no plain object");

        // as a caller who edits the contract may do; a generated one can't
        var twice = (JsonTypeInfo<Fine>)((IJsonTypeInfoResolver)Json.Default).GetTypeInfo(typeof(Fine), new JsonSerializerOptions())!;
        twice.Properties[1].Name = twice.Properties[0].Name;
        AssertRefused(twice, "Fine has two fields of the name 'Value'");
    }

    [Fact]
    public void A_text_that_is_too_long_for_its_index_is_refused_and_the_longest_is_found()
    {
        var model = new SecuredModel<Fine>("fine", Json.Default.Fine, Store);
        Assert.Equal(199, model.Term(nameof(Fine.Value), new string('ü', 41) + "x").Length);
        var error = Assert.Throws<SecretsException>(() => model.Seal(new() { Value = new string('ü', 42) }, new("secret", "a")));
        Assert.Contains("84 bytes", error.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain("ü", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_not_written_needs_no_word()
    {
        var model = new SecuredModel<Fine>("fine", Json.Default.Fine, Store);
        var fine = model.Open(model.Seal(new() { Value = "v", Ignored = 3, Other = "o" }, new("secret", "a")).Json, new("secret", "a"));
        Assert.Equal(("v", "o", 0), (fine.Value, fine.Other, fine.Ignored));
    }

    private static void AssertRefused<T>(JsonTypeInfo<T> contract, string reason)
        where T : class => Assert.StartsWith(reason, Assert.Throws<ArgumentException>(() => new SecuredModel<T>("any", contract, Store)).Message, StringComparison.Ordinal);

    internal sealed class Silent
    {
        public string? Value { get; init; }
    }

    internal sealed class ShownByIndex
    {
        [Secured(Obfuscation.Encrypted, IndexStrategy.Identity)]
        public string? Value { get; init; }
    }

    internal sealed class BlindRange
    {
        [Secured(Obfuscation.Encrypted, IndexStrategy.Blind, Searchable = Search.Range)]
        public string? Value { get; init; }
    }

    internal sealed class DeterministicRange
    {
        [Secured(Obfuscation.Encrypted, IndexStrategy.Deterministic, Searchable = Search.Range)]
        public long Value { get; init; }
    }

    internal sealed class NoIndexRange
    {
        [Secured(Obfuscation.Encrypted, Searchable = Search.Range)]
        public long Value { get; init; }
    }

    internal sealed class ShiftedText
    {
        [Secured(Obfuscation.UuidOnly, IndexStrategy.TemporalOffset)]
        public string? Value { get; init; }
    }

    internal sealed class NoWidth
    {
        [Secured(Obfuscation.Encrypted, IndexStrategy.Bucketed)]
        public long Value { get; init; }
    }

    internal sealed class WideBuckets
    {
        [Secured(Obfuscation.Encrypted, IndexStrategy.Bucketed, BucketWidth = long.MaxValue)]
        public DateTimeOffset Value { get; init; }
    }

    internal sealed class TextBuckets
    {
        [Secured(Obfuscation.Encrypted, IndexStrategy.Bucketed, BucketWidth = 5)]
        public string? Value { get; init; }
    }

    internal sealed class WidthOfNothing
    {
        [Secured(Obfuscation.Encrypted, IndexStrategy.Blind, BucketWidth = 5)]
        public string? Value { get; init; }
    }

    internal sealed class GroupOfNothing
    {
        [Secured(Obfuscation.Encrypted, IndexStrategy.Blind, Group = "g")]
        public string? Value { get; init; }
    }

    internal sealed class IndexedList
    {
        [Secured(Obfuscation.Encrypted, IndexStrategy.Blind)]
        public string[]? Value { get; init; }
    }

    internal sealed class Unwritten
    {
        [JsonIgnore]
        [Secured(Obfuscation.Encrypted, IndexStrategy.Blind)]
        public string? Value { get; init; }
    }

    internal sealed class Reserved
    {
        [JsonPropertyName("$key")]
        [Secured(Obfuscation.None)]
        public string? Value { get; init; }
    }

    internal sealed class OffsetShown
    {
        [Secured(Obfuscation.UuidOnly, IndexStrategy.TemporalOffset)]
        public DateTimeOffset Hidden { get; init; }

        [Secured(Obfuscation.UuidOnly)]
        public DateTimeOffset Open { get; init; }
    }

    internal sealed class MixedGroup
    {
        [Secured(Obfuscation.UuidOnly, IndexStrategy.Deterministic, Group = "g")]
        public string? Open { get; init; }

        [Secured(Obfuscation.Encrypted, IndexStrategy.Deterministic, Group = "g")]
        public string? Hidden { get; init; }
    }

    internal sealed class Fine
    {
        [Secured(Obfuscation.UuidOnly, IndexStrategy.Identity)]
        public string? Value { get; init; }

        [Secured(Obfuscation.Encrypted)]
        public string? Other { get; init; }

        [JsonIgnore]
        public int Ignored { get; init; }
    }

    internal sealed class ManyIndexes
    {
        [Secured(Obfuscation.Encrypted, IndexStrategy.Blind)]
        public string? A { get; init; }

        [Secured(Obfuscation.Encrypted, IndexStrategy.Blind)]
        public string? B { get; init; }

        [Secured(Obfuscation.Encrypted, IndexStrategy.Blind)]
        public string? C { get; init; }

        [Secured(Obfuscation.Encrypted, IndexStrategy.Blind)]
        public string? D { get; init; }

        [Secured(Obfuscation.Encrypted, IndexStrategy.Blind)]
        public string? E { get; init; }

        [Secured(Obfuscation.Encrypted, IndexStrategy.Blind)]
        public string? F { get; init; }

        [Secured(Obfuscation.Encrypted, IndexStrategy.Blind)]
        public string? G { get; init; }

        [Secured(Obfuscation.Encrypted, IndexStrategy.Blind)]
        public string? H { get; init; }

        [Secured(Obfuscation.Encrypted, IndexStrategy.Blind)]
        public string? I { get; init; }
    }

    [JsonSerializable(typeof(Silent))]
    [JsonSerializable(typeof(ShownByIndex))]
    [JsonSerializable(typeof(BlindRange))]
    [JsonSerializable(typeof(DeterministicRange))]
    [JsonSerializable(typeof(NoIndexRange))]
    [JsonSerializable(typeof(ShiftedText))]
    [JsonSerializable(typeof(NoWidth))]
    [JsonSerializable(typeof(WideBuckets))]
    [JsonSerializable(typeof(TextBuckets))]
    [JsonSerializable(typeof(WidthOfNothing))]
    [JsonSerializable(typeof(GroupOfNothing))]
    [JsonSerializable(typeof(IndexedList))]
    [JsonSerializable(typeof(Unwritten))]
    [JsonSerializable(typeof(Reserved))]
    [JsonSerializable(typeof(OffsetShown))]
    [JsonSerializable(typeof(MixedGroup))]
    [JsonSerializable(typeof(Fine))]
    [JsonSerializable(typeof(ManyIndexes))]
    private sealed partial class Json : JsonSerializerContext;
}
