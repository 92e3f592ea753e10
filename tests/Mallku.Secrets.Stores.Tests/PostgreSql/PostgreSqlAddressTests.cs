using Mallku.Secrets.Stores.PostgreSql;
using Npgsql;

namespace Mallku.Secrets.Stores.Tests.PostgreSql;

public sealed class PostgreSqlAddressTests
{
    [Fact]
    public void Every_part_of_an_address_gets_where_it_belongs()
    {
        var address = PostgreSqlAddress.Parse(
            "postgresql://we%40home:p%40ss%3A%2F@db.example:6432/our%20keys?sslmode=verify-full&sslrootcert=%2Fetc%2Froot.pem&connect_timeout=3&command_timeout=7&schema=team_1&pool_size=4");
        var connection = address.Connection;
        Assert.Equal(
            ("db.example", 6432, "our keys", "we@home", "p@ss:/"), (connection.Host, connection.Port, connection.Database, connection.Username, connection.Password));
        Assert.Equal((SslMode.VerifyFull, "/etc/root.pem", 3, 7, 4), (connection.SslMode, connection.RootCertificate, connection.Timeout, connection.CommandTimeout, connection.MaxPoolSize));
        Assert.Equal("team_1", address.Schema);
        Assert.Equal("PostgreSQL at db.example:6432, database our keys, schema team_1", address.Description);
    }

    [Theory]
    [InlineData("postgres://db/keys", "db", 5432)]
    [InlineData("postgres://me@[::1]:6432/keys", "::1", 6432)]
    [InlineData("postgres://me@[::1]/keys", "::1", 5432)]
    [InlineData("postgres://%2Fvar%2Frun%2Fpostgresql/keys", "/var/run/postgresql", 5432)]
    [InlineData("postgres://one:1,two,[::1]:3/keys", "one:1,two:5432,[::1]:3", 5432)]
    [InlineData("Host=db;Port=6432;Database=keys", "db", 6432)]
    public void Hosts_are_read(string address, string host, int port)
    {
        var read = PostgreSqlAddress.Parse(address);
        Assert.Equal((host, port, "keys", "mallku"), (read.Connection.Host, read.Connection.Port, read.Connection.Database, read.Schema));
        Assert.Null(read.Connection.Password);
        Assert.Contains(host, read.Description, StringComparison.Ordinal);
    }

    [Fact]
    public void A_connection_string_may_have_the_schema_and_its_own_limits()
    {
        var address = PostgreSqlAddress.Parse("Host=db;Database=keys;Username=me;Password='canary;1';schema=ours;Command Timeout=3;SSL Mode=VerifyFull");
        Assert.Equal(("ours", "canary;1", 3, 5), (address.Schema, address.Connection.Password, address.Connection.CommandTimeout, address.Connection.Timeout));
        Assert.DoesNotContain("canary", address.Description, StringComparison.Ordinal);
    }

    // the canary is a password, or a part of one, wherever a slip puts it
    [Theory]
    [InlineData("")]
    [InlineData("canary")]
    [InlineData("mysql://me:canary@db/keys")]
    [InlineData("postgres://me:canary@db")]
    [InlineData("postgres://me:canary@db/")]
    [InlineData("postgres://me:canary@/keys")]
    [InlineData("postgres://me:canary@db:port/keys")]
    [InlineData("postgres://me:canary@db:0/keys")]
    [InlineData("postgres://me:canary@db:65536/keys")]
    [InlineData("postgres://me:1/canary@db/keys")]
    [InlineData("postgres://me:canary/1@db/keys")]
    [InlineData("postgres://me:1?canary@db/keys")]
    [InlineData("postgres://me:1?canary=1@db/keys")]
    [InlineData("postgres://me:1#canary@db/keys")]
    [InlineData("postgres://me:canary@db/keys?canary=1")]
    [InlineData("postgres://me:canary@db/keys?sslmode")]
    [InlineData("postgres://me:canary@db/keys?sslmode=canary")]
    [InlineData("postgres://me:canary@db/keys?sslmode=disable&sslmode=require")]
    [InlineData("postgres://me:canary@db/keys?sslrootcert=root.pem")]
    [InlineData("postgres://me:canary@db/keys?sslmode=require&sslrootcert=root.pem")]
    [InlineData("postgres://me:canary@db/keys?connect_timeout=canary")]
    [InlineData("postgres://me:canary@db/keys?connect_timeout=0")]
    [InlineData("postgres://me:canary@db/keys?command_timeout=0")]
    [InlineData("postgres://me:canary@db/keys?command_timeout=-1")]
    [InlineData("postgres://me:canary@db/keys?pool_size=0")]
    [InlineData("postgres://me:canary@db/keys?schema=")]
    [InlineData("postgres://me:canary@db/keys?schema=Canary")]
    [InlineData("postgres://me:canary@db/keys?schema=a\"; DROP TABLE canary")]
    [InlineData("postgres://me:canary@db/keys?schema=1a")]
    [InlineData("Host=db;Database=keys;Password=1;canary=2")]
    [InlineData("Host=db;Database=keys;Password=1;canary")]
    [InlineData("Host=db;Database=keys;Port=canary")]
    [InlineData("Host=db;Database=keys;Password='canary")]
    [InlineData("Host=db;Database=keys;Password=canary;Target Session Attributes=primary")]
    [InlineData("Host=db;Password=canary")]
    [InlineData("Database=keys;Password=canary")]
    public void What_is_no_address_is_refused_and_not_repeated(string address)
    {
        var fault = Assert.Throws<SecretsException>(() => PostgreSqlRecordStore.Open(address));
        Assert.Equal(-1, fault.ToString().IndexOf("canary", StringComparison.OrdinalIgnoreCase));
        Assert.Contains("postgres://USER@HOST:PORT/DATABASE", fault.Remedy, StringComparison.Ordinal);
    }
}
