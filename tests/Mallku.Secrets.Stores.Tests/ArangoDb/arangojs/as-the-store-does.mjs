// Does with the official driver what the store does: node as-the-store-does.mjs URL DATABASE USER PREFIX read|write
// The password comes in MALLKU_TEST_PASSWORD. What was found is written as JSON.
import assert from "node:assert/strict";
import { Database } from "arangojs";

const [url, databaseName, user, prefix, verb] = process.argv.slice(2);
const db = new Database({ url, databaseName });
await db.login(user, process.env.MALLKU_TEST_PASSWORD);

const order = (text) => Buffer.from(text).toString("hex");
const document = (id, data, ...terms) => ({
  _key: id,
  order: order(id),
  ...Object.fromEntries(terms.map((term, place) => [`t${place}`, order(term)])),
  data,
});
const secrets = db.collection(`${prefix}secret`);
const versions = db.collection(`${prefix}version`);
const slots = [0, 1, 2, 3, 4, 5, 6, 7];

const byId = (first, last) =>
  query(
    "FOR d IN @@records FILTER d.order >= @first AND d.order < @last SORT d.order RETURN { _key: d._key, _rev: d._rev, data: d.data }",
    first,
    last,
  );
const byTerm = (first, last) =>
  query(
    `FOR d IN @@records FILTER ${slots.map((i) => `(d.t${i} >= @first AND d.t${i} <= @last)`).join(" OR ")} ` +
      `FOR t IN [${slots.map((i) => `d.t${i}`).join(", ")}] FILTER t >= @first AND t <= @last SORT t, d.order ` +
      "RETURN { _key: d._key, _rev: d._rev, data: d.data }",
    first,
    last,
  );

async function query(text, first, last) {
  const cursor = await db.query(
    text,
    { "@records": secrets.name, first, last },
    { batchSize: 2, ttl: 60, stream: true },
  );
  return cursor.map((row) => [row._key, row.data]);
}

async function read() {
  const document = await secrets.document("a");
  return {
    collections: (await db.listCollections()).map((one) => one.name).sort(),
    indexes: (await secrets.indexes()).map((one) => one.fields[0]).sort(),
    document: { ...document, _rev: typeof document._rev, _id: undefined },
    listed: await byId("", "f"),
    found: await byTerm(order("time.04"), order("time.99")),
  };
}

async function write() {
  assert.equal((await db.get()).name, databaseName);
  for (const kind of ["store", "secret", "version", "instance", "audit"]) {
    const collection = await db.createCollection(prefix + kind);
    await assert.rejects(db.createCollection(prefix + kind), { errorNum: 1207 });
    const made = await collection.ensureIndex({ type: "persistent", fields: ["order"], sparse: false, inBackground: true });
    const again = await collection.ensureIndex({ type: "persistent", fields: ["order"], sparse: false, inBackground: true });
    assert.deepEqual([made.isNewlyCreated, again.isNewlyCreated, made.id], [true, false, again.id]);
    for (const i of slots) {
      await collection.ensureIndex({ type: "persistent", fields: [`t${i}`], sparse: true, inBackground: true });
    }
  }

  const synced = { waitForSync: true };
  const seen = { waitForSync: true, ignoreRevs: false };
  const before = (await secrets.revision()).revision;
  const [a, b] = await secrets.saveAll([document("a", { text: "a" }, "loose.x"), document("b", { text: "b" }, "time.05")], synced);
  assert.notEqual((await secrets.revision()).revision, before);
  const [taken] = await secrets.saveAll([document("a", {})], synced);
  assert.deepEqual([taken.error, taken.errorNum], [true, 1210]);

  const [replaced] = await secrets.replaceAll([{ ...document("a", { text: "a2" }, "time.07", "loose.y"), _rev: a._rev }], seen);
  assert.notEqual(replaced._rev, a._rev);
  const [stale] = await secrets.replaceAll([{ ...document("a", {}), _rev: a._rev }], seen);
  assert.deepEqual([stale.error, stale.errorNum], [true, 1200]);
  await assert.rejects(secrets.document("none"), { errorNum: 1202, code: 404 });
  await assert.rejects(db.collection(`${prefix}none`).document("a"), { errorNum: 1203, code: 404 });

  const collections = { write: [secrets.name, versions.name] };
  const made = await db.beginTransaction(collections, synced);
  await made.step(() => secrets.saveAll([document("c", { text: "c" })], synced));
  const [removed] = await made.step(() => secrets.removeAll([{ _key: "b", _rev: b._rev }], seen));
  assert.equal(removed._key, "b");
  await made.step(() => versions.saveAll([document("c.1", { text: "é漢🜁" })], synced));
  assert.equal(await secrets.document("c", { graceful: true }), null);
  const [hindered] = await secrets.replaceAll([{ ...document("b", {}), _rev: b._rev }], seen);
  assert.equal(hindered.errorNum, 1200);
  assert.equal((await made.get()).status, "running");
  assert.equal((await made.commit()).status, "committed");
  assert.equal((await made.commit()).status, "committed");
  assert.equal((await made.get()).status, "committed");

  const aborted = await db.beginTransaction(collections, synced);
  await aborted.step(() => secrets.saveAll([document("d", {})], synced));
  assert.equal((await aborted.abort()).status, "aborted");
  await assert.rejects(aborted.commit());

  const unfinished = await db.query(
    "FOR d IN @@records FILTER d.order >= @first AND d.order < @last SORT d.order RETURN { _key: d._key, _rev: d._rev, data: d.data }",
    { "@records": secrets.name, first: "", last: "f" },
    { batchSize: 1, ttl: 60, stream: true },
  );
  await unfinished.kill();
  return { listed: await byId("", "f"), found: await byTerm(order("time.04"), order("time.99")) };
}

process.stdout.write(JSON.stringify(verb === "read" ? await read() : await write()));
