-- GLz+VoAAAAMAAAABbfQgZhbx533xllE3MVzZpBpATMecMYGoHhd4tgvyJaJBGtfzW5wQ/sxMfIxojEFu
PRAGMA application_id = 1936814967;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE attempts(
    contents INTEGER NOT NULL,
    attempt_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    deliveries TEXT NOT NULL,              -- JSON: [[seq, receives, visible_at], ...]
    PRIMARY KEY(contents, attempt_id)
) WITHOUT ROWID;
INSERT INTO "attempts" VALUES(3,'once',1700000300000,'[[1782579200000000006, 1, 1700000030000]]');
CREATE TABLE bodies(
    seq INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    md5 TEXT NOT NULL,
    attributes TEXT,                       -- JSON
    group_name TEXT,
    deduplication_id TEXT,
    trace_header TEXT,
    source_arn TEXT                        -- of the queue it was a dead letter of
);
INSERT INTO "bodies" VALUES(1782579200000000002,'gone too','d59c89f9f511fc523381d9cb157e5332',NULL,NULL,NULL,NULL,'arn:aws:sqs:local:000000000000:standard');
INSERT INTO "bodies" VALUES(1782579200000000003,'gone','50c1f58be7f5e47e0f53d64c094783c2',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "bodies" VALUES(1782579200000000004,'ready','b2fdab230a2c39f3595a947861863cb7','{"b": ["Binary", "AP8=", "base64"]}',NULL,NULL,NULL,NULL);
INSERT INTO "bodies" VALUES(1782579200000000005,'delayed','f5e0a640e01c53954396b55beeb29ab9',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "bodies" VALUES(1782579200000000006,'a-1','737c191aed52450b9c655083c9971bdd',NULL,'a','2f8fe63a6224321de5d0a24cf30067d37a358706b1ed38b015282ab68dc69ae9',NULL,NULL);
INSERT INTO "bodies" VALUES(1782579200000000007,'a-2','b39baf03412f39006635c8da36237ff0',NULL,'a','d72e654c3645b02dde39fe0be595ef173409544f6e10ea1164759d6c284dbade',NULL,NULL);
INSERT INTO "bodies" VALUES(1782579200000000008,'b-1','b1d10db2016c2f83c13b25fcb170cdeb',NULL,'b','3e499e752620c6a90ed59a200a18132411045ba50ea06c76673ecd53298e5151',NULL,NULL);
CREATE TABLE contents(
    id INTEGER PRIMARY KEY,
    is_left INTEGER NOT NULL DEFAULT 0     -- of no queue any more: its rows are to be deleted
);
INSERT INTO "contents" VALUES(1,0);
INSERT INTO "contents" VALUES(2,0);
INSERT INTO "contents" VALUES(3,0);
INSERT INTO "contents" VALUES(6,0);
CREATE TABLE deduplications(
    contents INTEGER NOT NULL,
    group_name TEXT NOT NULL,              -- empty where the whole queue is the scope
    deduplication_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY(contents, group_name, deduplication_id)
) WITHOUT ROWID;
INSERT INTO "deduplications" VALUES(3,'','2f8fe63a6224321de5d0a24cf30067d37a358706b1ed38b015282ab68dc69ae9',1700000300000,'cad29a0c-df01-48f6-98f1-2c26f370cbd0',1782579200000000006);
INSERT INTO "deduplications" VALUES(3,'','3e499e752620c6a90ed59a200a18132411045ba50ea06c76673ecd53298e5151',1700000300000,'be0f522a-c19c-49e4-aac7-df3f2bfd6b29',1782579200000000008);
INSERT INTO "deduplications" VALUES(3,'','d72e654c3645b02dde39fe0be595ef173409544f6e10ea1164759d6c284dbade',1700000300000,'298166e8-6bda-4b6e-8ba9-11f4142ce382',1782579200000000007);
CREATE TABLE deleted_queues(
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    deleted_at INTEGER NOT NULL,
    PRIMARY KEY(region, name)
) WITHOUT ROWID;
INSERT INTO "deleted_queues" VALUES('local','deleted',1700000000000);
CREATE TABLE groups(
    id INTEGER PRIMARY KEY,
    contents INTEGER NOT NULL,
    name TEXT NOT NULL,
    rank INTEGER,
    wake INTEGER
);
INSERT INTO "groups" VALUES(1,3,'a',NULL,1700000030000);
INSERT INTO "groups" VALUES(2,3,'b',1782579200000000008,NULL);
CREATE TABLE messages(
    seq INTEGER PRIMARY KEY,
    contents INTEGER NOT NULL,
    grp INTEGER,                           -- row of groups, on FIFO queues only
    state INTEGER NOT NULL,
    visible_at INTEGER NOT NULL,
    receives INTEGER NOT NULL,             -- in all queues it was in
    receives_before INTEGER NOT NULL,      -- of these, in the queues before this one
    first_receive INTEGER,
    last_receive INTEGER,
    sent_at INTEGER NOT NULL,
    id TEXT NOT NULL
);
INSERT INTO "messages" VALUES(1782579200000000002,1,NULL,0,1700000000000,1,1,1700000000000,1700000000000,1700000000000,'2ecbe3a4-90ea-4cf6-b326-6557e1a4a9a9');
INSERT INTO "messages" VALUES(1782579200000000003,2,NULL,1,1700000020000,1,0,1700000000000,1700000000000,1700000000000,'b2ad32eb-95fc-416c-9a6d-0c2c5376f58d');
INSERT INTO "messages" VALUES(1782579200000000004,2,NULL,0,1700000000000,0,0,NULL,NULL,1700000000000,'50b60eb9-b4fd-4c18-ab3b-35665861c5d7');
INSERT INTO "messages" VALUES(1782579200000000005,2,NULL,2,1700000600000,0,0,NULL,NULL,1700000000000,'fca4599f-a20b-4217-9889-8e290a186ce5');
INSERT INTO "messages" VALUES(1782579200000000006,3,1,1,1700000030000,1,0,1700000000000,1700000000000,1700000000000,'cad29a0c-df01-48f6-98f1-2c26f370cbd0');
INSERT INTO "messages" VALUES(1782579200000000007,3,1,0,1700000000000,0,0,NULL,NULL,1700000000000,'298166e8-6bda-4b6e-8ba9-11f4142ce382');
INSERT INTO "messages" VALUES(1782579200000000008,3,2,0,1700000000000,0,0,NULL,NULL,1700000000000,'be0f522a-c19c-49e4-aac7-df3f2bfd6b29');
CREATE TABLE move_tasks(
    id TEXT PRIMARY KEY,
    source INTEGER NOT NULL,
    source_arn TEXT NOT NULL,
    destination_arn TEXT,
    rate INTEGER,                          -- messages per second
    status TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    to_move INTEGER NOT NULL,
    moved INTEGER NOT NULL DEFAULT 0,
    last_seq INTEGER NOT NULL,             -- what came later is not moved
    failure TEXT
);
INSERT INTO "move_tasks" VALUES('06e94a97-6f0d-4a0c-b880-10beabd439b4',1,'arn:aws:sqs:local:000000000000:dead',NULL,1,'RUNNING',1700000000000,2,1,1782579200000000002,NULL);
CREATE TABLE queues(
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: a waiting receive may still hold one
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    is_fifo INTEGER NOT NULL,
    secret BLOB NOT NULL,                  -- signs receipt handles
    attributes TEXT NOT NULL,              -- JSON, those that were set
    tags TEXT NOT NULL,                    -- JSON
    contents INTEGER NOT NULL,
    deduplicates_by_group INTEGER NOT NULL,
    created_at INTEGER NOT NULL,           -- all times in milliseconds
    modified_at INTEGER NOT NULL,
    purged_at INTEGER,
    ready INTEGER NOT NULL DEFAULT 0,
    in_flight INTEGER NOT NULL DEFAULT 0,
    delayed INTEGER NOT NULL DEFAULT 0,
    UNIQUE(region, name)
);
INSERT INTO "queues" VALUES(1,'local','dead',0,X'5A5EB4B765F38E0F68D5D0C250FF7ABC574FA2C3FD3ADC43730CC40339452F20','{}','{}',1,0,1700000000000,1700000000000,NULL,1,0,0);
INSERT INTO "queues" VALUES(2,'local','standard',0,X'A3496D5A3517AE143808C0CE727C39F1D845E7E2E73A0EA9CF497FE0B961AA3B','{"RedrivePolicy": "{\"deadLetterTargetArn\":\"arn:aws:sqs:local:000000000000:dead\",\"maxReceiveCount\":1}", "VisibilityTimeout": "20"}','{"team": "mail"}',2,0,1700000000000,1700000000000,NULL,1,1,1);
INSERT INTO "queues" VALUES(3,'local','f.fifo',1,X'B040469F35E7A6D5E3680121720E7D5CFE54F04C3E3EAB23763B2852A1AEA16D','{"FifoQueue": "true", "ContentBasedDeduplication": "true"}','{}',3,0,1700000000000,1700000000000,NULL,2,1,0);
INSERT INTO "queues" VALUES(5,'local','purged',0,X'081010D6D26A9873613FA49A971420447E7248647CD56D0255DD1582A2DA6BD0','{}','{}',6,0,1700000000000,1700000000000,1700000000000,0,0,0);
CREATE TABLE seqs(last INTEGER NOT NULL);
INSERT INTO "seqs" VALUES(1782579200000000008);
CREATE INDEX c_left ON contents(id) WHERE is_left;
CREATE INDEX m_contents ON messages(contents, seq);
CREATE INDEX m_ready ON messages(contents, seq) WHERE state = 0;
CREATE INDEX m_hidden ON messages(contents, visible_at, state) WHERE state > 0;
CREATE INDEX m_group ON messages(grp, seq) WHERE grp IS NOT NULL;
CREATE UNIQUE INDEX g_name ON groups(contents, name);
CREATE INDEX g_rank ON groups(contents, rank) WHERE rank IS NOT NULL;
CREATE INDEX g_wake ON groups(contents, wake) WHERE wake IS NOT NULL;
CREATE INDEX d_expires ON deduplications(contents, expires_at);
CREATE INDEX a_expires ON attempts(contents, expires_at);
CREATE INDEX t_running ON move_tasks(status) WHERE status = 'RUNNING';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('queues',5);
COMMIT;
