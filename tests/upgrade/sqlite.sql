CREATE TABLE "django_migrations" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "app" varchar(255) NOT NULL, "name" varchar(255) NOT NULL, "applied" datetime NOT NULL);
CREATE TABLE "django_content_type" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "app_label" varchar(100) NOT NULL, "model" varchar(100) NOT NULL);
CREATE TABLE "auth_group_permissions" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "group_id" integer NOT NULL REFERENCES "auth_group" ("id") DEFERRABLE INITIALLY DEFERRED, "permission_id" integer NOT NULL REFERENCES "auth_permission" ("id") DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE "auth_permission" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "content_type_id" integer NOT NULL REFERENCES "django_content_type" ("id") DEFERRABLE INITIALLY DEFERRED, "codename" varchar(100) NOT NULL, "name" varchar(255) NOT NULL);
CREATE TABLE "auth_group" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "name" varchar(150) NOT NULL UNIQUE);
CREATE TABLE "conversations_worker" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "beat" bigint unsigned NOT NULL CHECK ("beat" >= 0), "started_at" datetime NOT NULL);
CREATE TABLE "conversations_user_groups" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "user_id" bigint NOT NULL REFERENCES "conversations_user" ("id") DEFERRABLE INITIALLY DEFERRED, "group_id" integer NOT NULL REFERENCES "auth_group" ("id") DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE "conversations_user_user_permissions" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "user_id" bigint NOT NULL REFERENCES "conversations_user" ("id") DEFERRABLE INITIALLY DEFERRED, "permission_id" integer NOT NULL REFERENCES "auth_permission" ("id") DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE "conversations_conversation" ("id" char(32) NOT NULL PRIMARY KEY, "title" varchar(80) NOT NULL, "created_at" datetime NOT NULL, "updated_at" datetime NOT NULL, "owner_id" bigint NOT NULL REFERENCES "conversations_user" ("id") DEFERRABLE INITIALLY DEFERRED, "leaf_id" bigint NULL REFERENCES "conversations_message" ("id") DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE "conversations_message" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "role" varchar(9) NOT NULL, "content" text NOT NULL, "reasoning" text NOT NULL, "created_at" datetime NOT NULL, "conversation_id" char(32) NOT NULL REFERENCES "conversations_conversation" ("id") DEFERRABLE INITIALLY DEFERRED, "parent_id" bigint NULL REFERENCES "conversations_message" ("id") DEFERRABLE INITIALLY DEFERRED, "reasoning_words" integer unsigned NULL CHECK ("reasoning_words" >= 0));
CREATE TABLE "conversations_chunk" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "attempt" smallint unsigned NOT NULL CHECK ("attempt" >= 0), "sequence" integer unsigned NOT NULL CHECK ("sequence" >= 0), "kind" varchar(9) NOT NULL, "text" text NOT NULL, "generation_id" bigint NOT NULL REFERENCES "conversations_generation" ("id") DEFERRABLE INITIALLY DEFERRED, CONSTRAINT "chunk_in_order" UNIQUE ("generation_id", "attempt", "sequence"));
CREATE TABLE "account_emailconfirmation" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "created" datetime NOT NULL, "sent" datetime NULL, "key" varchar(64) NOT NULL UNIQUE, "email_address_id" integer NOT NULL REFERENCES "account_emailaddress" ("id") DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE "account_emailaddress" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "verified" bool NOT NULL, "primary" bool NOT NULL, "user_id" bigint NOT NULL REFERENCES "conversations_user" ("id") DEFERRABLE INITIALLY DEFERRED, "email" varchar(254) NOT NULL);
CREATE TABLE "django_admin_log" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "object_id" text NULL, "object_repr" varchar(200) NOT NULL, "action_flag" smallint unsigned NOT NULL CHECK ("action_flag" >= 0), "change_message" text NOT NULL, "content_type_id" integer NULL REFERENCES "django_content_type" ("id") DEFERRABLE INITIALLY DEFERRED, "user_id" bigint NOT NULL REFERENCES "conversations_user" ("id") DEFERRABLE INITIALLY DEFERRED, "action_time" datetime NOT NULL);
CREATE TABLE "cache" (
    "cache_key" varchar(255) NOT NULL PRIMARY KEY,
    "value" text NOT NULL,
    "expires" datetime NOT NULL
);
CREATE TABLE "conversations_generation" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "key" char(32) NULL, "status" varchar(11) NOT NULL, "attempt" smallint unsigned NOT NULL CHECK ("attempt" >= 0), "slot" smallint unsigned NULL CHECK ("slot" >= 0), "stop_requested" bool NOT NULL, "error" text NOT NULL, "finish_reason" varchar(40) NOT NULL, "model" varchar(200) NOT NULL, "prompt_tokens" integer unsigned NULL CHECK ("prompt_tokens" >= 0), "reasoning_tokens" integer unsigned NULL CHECK ("reasoning_tokens" >= 0), "answer_tokens" integer unsigned NULL CHECK ("answer_tokens" >= 0), "created_at" datetime NOT NULL, "started_at" datetime NULL, "first_thought_at" datetime NULL, "first_answer_at" datetime NULL, "finished_at" datetime NULL, "conversation_id" char(32) NOT NULL REFERENCES "conversations_conversation" ("id") DEFERRABLE INITIALLY DEFERRED, "owner_id" bigint NOT NULL REFERENCES "conversations_user" ("id") DEFERRABLE INITIALLY DEFERRED, "context_start_id" bigint NULL REFERENCES "conversations_message" ("id") DEFERRABLE INITIALLY DEFERRED, "message_id" bigint NOT NULL REFERENCES "conversations_message" ("id") DEFERRABLE INITIALLY DEFERRED, "worker_id" bigint NULL REFERENCES "conversations_worker" ("id") DEFERRABLE INITIALLY DEFERRED, "joined_at" integer unsigned NULL CHECK ("joined_at" >= 0), "without_thinking" bool NOT NULL, "request" text NULL CHECK ((JSON_VALID("request") OR "request" IS NULL)), "cached_tokens" integer unsigned NULL CHECK ("cached_tokens" >= 0), CONSTRAINT "one_prompt_for_a_key" UNIQUE ("owner_id", "key"), CONSTRAINT "a_slot_while_running_only" CHECK ((("slot" IS NOT NULL AND "status" IN ('thinking', 'answering')) OR (NOT ("status" IN ('thinking', 'answering')) AND "slot" IS NULL))));
CREATE TABLE "conversations_user_review_groups" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "user_id" bigint NOT NULL REFERENCES "conversations_user" ("id") DEFERRABLE INITIALLY DEFERRED, "group_id" integer NOT NULL REFERENCES "auth_group" ("id") DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE "conversations_user" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "password" varchar(128) NOT NULL, "last_login" datetime NULL, "is_superuser" bool NOT NULL, "username" varchar(150) NOT NULL UNIQUE, "first_name" varchar(150) NOT NULL, "last_name" varchar(150) NOT NULL, "email" varchar(254) NOT NULL, "is_staff" bool NOT NULL, "is_active" bool NOT NULL, "date_joined" datetime NOT NULL, "reasoning" varchar(8) NOT NULL, "single_keys" bool NOT NULL, "theme" varchar(5) NOT NULL, "review_limited" bool NOT NULL);
CREATE TABLE "conversations_auditentry" ("number" bigint unsigned NOT NULL PRIMARY KEY CHECK ("number" >= 0), "at" datetime NOT NULL, "act" varchar(12) NOT NULL, "actor_id" bigint NULL, "actor_name" varchar(150) NOT NULL, "role" varchar(150) NOT NULL, "address" varchar(45) NOT NULL, "case_id" bigint NULL, "reason" varchar(80) NOT NULL, "note" text NOT NULL, "owner_id" bigint NULL, "conversation_id" char(32) NULL, "message_id" bigint NULL, "details" text NOT NULL CHECK ((JSON_VALID("details") OR "details" IS NULL)), "previous" varchar(64) NOT NULL, "mac" varchar(64) NOT NULL);
CREATE TABLE "conversations_case" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "reason" varchar(80) NOT NULL, "note" text NOT NULL, "begun_at" datetime NOT NULL, "ended_at" datetime NULL, "reviewer_id" bigint NOT NULL REFERENCES "conversations_user" ("id") DEFERRABLE INITIALLY DEFERRED, "hold_approved_by_id" bigint NULL REFERENCES "conversations_user" ("id") DEFERRABLE INITIALLY DEFERRED, "hold_days" smallint unsigned NULL CHECK ("hold_days" >= 0), "hold_until" datetime NULL, "hold_why" text NOT NULL, CONSTRAINT "a_hold_is_approved_by_another" CHECK (("hold_approved_by_id" IS NULL OR NOT ("hold_approved_by_id" = ("reviewer_id") AND "hold_approved_by_id" IS NOT NULL))));
CREATE TABLE "conversations_rule" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "name" varchar(80) NOT NULL UNIQUE, "words" text NOT NULL, "outcome" varchar(11) NOT NULL, "percent" decimal NOT NULL, "active" bool NOT NULL, "checked_until" datetime NOT NULL);
CREATE TABLE "conversations_item" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "why" varchar(80) NOT NULL, "created_at" datetime NOT NULL, "taken_at" datetime NULL, "resolved_at" datetime NULL, "verdict" varchar(6) NOT NULL, "note" text NOT NULL, "conversation_id" char(32) NOT NULL REFERENCES "conversations_conversation" ("id") DEFERRABLE INITIALLY DEFERRED, "message_id" bigint NOT NULL REFERENCES "conversations_message" ("id") DEFERRABLE INITIALLY DEFERRED, "resolved_by_id" bigint NULL REFERENCES "conversations_user" ("id") DEFERRABLE INITIALLY DEFERRED, "taken_by_id" bigint NULL REFERENCES "conversations_user" ("id") DEFERRABLE INITIALLY DEFERRED, "rule_id" bigint NULL REFERENCES "conversations_rule" ("id") DEFERRABLE INITIALLY DEFERRED, CONSTRAINT "one_item_for_a_message_and_rule" UNIQUE ("message_id", "rule_id"));
CREATE VIRTUAL TABLE conversations_message_search using fts5
(content, reasoning, content='conversations_message', content_rowid='id', tokenize='trigram');
CREATE TABLE "conversations_legalhold" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "reason" varchar(200) NOT NULL, "made_at" datetime NOT NULL, "lifted_at" datetime NULL, "conversation_id" char(32) NULL REFERENCES "conversations_conversation" ("id") DEFERRABLE INITIALLY DEFERRED, "user_id" bigint NULL REFERENCES "conversations_user" ("id") DEFERRABLE INITIALLY DEFERRED, CONSTRAINT "a_hold_is_on_a_user_or_a_conversation" CHECK ((("conversation_id" IS NOT NULL AND "user_id" IS NULL) OR ("conversation_id" IS NULL AND "user_id" IS NOT NULL))));
CREATE TABLE "conversations_dayofuse" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "zone" varchar(64) NOT NULL, "day" date NOT NULL, "counts" text NOT NULL CHECK ((JSON_VALID("counts") OR "counts" IS NULL)), CONSTRAINT "one_count_of_a_day" UNIQUE ("zone", "day"));
CREATE TABLE "conversations_feedback" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "rating" varchar(6) NOT NULL, "comment" text NOT NULL, "shared" bool NOT NULL, "created_at" datetime NOT NULL, "message_id" bigint NOT NULL UNIQUE REFERENCES "conversations_message" ("id") DEFERRABLE INITIALLY DEFERRED, "conversation_id" char(32) NOT NULL REFERENCES "conversations_conversation" ("id") DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE "django_session" ("session_key" varchar(40) NOT NULL PRIMARY KEY, "session_data" text NOT NULL, "expire_date" datetime NOT NULL);
CREATE TABLE "socialaccount_socialapp" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "provider" varchar(30) NOT NULL, "name" varchar(40) NOT NULL, "client_id" varchar(191) NOT NULL, "secret" varchar(191) NOT NULL, "key" varchar(191) NOT NULL, "provider_id" varchar(200) NOT NULL, "settings" text NOT NULL CHECK ((JSON_VALID("settings") OR "settings" IS NULL)));
CREATE TABLE "socialaccount_socialtoken" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "token" text NOT NULL, "token_secret" text NOT NULL, "expires_at" datetime NULL, "account_id" integer NOT NULL REFERENCES "socialaccount_socialaccount" ("id") DEFERRABLE INITIALLY DEFERRED, "app_id" integer NULL REFERENCES "socialaccount_socialapp" ("id") DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE "socialaccount_socialaccount" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "provider" varchar(200) NOT NULL, "uid" varchar(191) NOT NULL, "last_login" datetime NOT NULL, "date_joined" datetime NOT NULL, "user_id" bigint NOT NULL REFERENCES "conversations_user" ("id") DEFERRABLE INITIALLY DEFERRED, "extra_data" text NOT NULL CHECK ((JSON_VALID("extra_data") OR "extra_data" IS NULL)));
INSERT INTO "django_migrations" VALUES
(1,'contenttypes','0001_initial','2026-11-28 21:26:54.795204'),
(2,'contenttypes','0002_remove_content_type_name','2026-11-28 21:26:54.813456'),
(3,'auth','0001_initial','2026-11-28 21:26:54.838137'),
(4,'auth','0002_alter_permission_name_max_length','2026-11-28 21:26:54.973432'),
(5,'auth','0003_alter_user_email_max_length','2026-11-28 21:26:54.988262'),
(6,'auth','0004_alter_user_username_opts','2026-11-28 21:26:54.997575'),
(7,'auth','0005_alter_user_last_login_null','2026-11-28 21:26:55.006070'),
(8,'auth','0006_require_contenttypes_0002','2026-11-28 21:26:55.012463'),
(9,'auth','0007_alter_validators_add_error_messages','2026-11-28 21:26:55.017461'),
(10,'auth','0008_alter_user_username_max_length','2026-11-28 21:26:55.025318'),
(11,'auth','0009_alter_user_last_name_max_length','2026-11-28 21:26:55.039966'),
(12,'auth','0010_alter_group_name_max_length','2026-11-28 21:26:55.053025'),
(13,'auth','0011_update_proxy_permissions','2026-11-28 21:26:55.069254'),
(14,'auth','0012_alter_user_first_name_max_length','2026-11-28 21:26:55.081226'),
(15,'conversations','0001_initial','2026-11-28 21:26:55.406392'),
(16,'account','0001_initial','2026-11-28 21:26:55.462601'),
(17,'account','0002_email_max_length','2026-11-28 21:26:55.500766'),
(18,'account','0003_alter_emailaddress_create_unique_verified_email','2026-11-28 21:26:55.547737'),
(19,'account','0004_alter_emailaddress_drop_unique_email','2026-11-28 21:26:55.576977'),
(20,'account','0005_emailaddress_idx_upper_email','2026-11-28 21:26:55.600193'),
(21,'account','0006_emailaddress_lower','2026-11-28 21:26:55.642212'),
(22,'account','0007_emailaddress_idx_email','2026-11-28 21:26:55.733283'),
(23,'account','0008_emailaddress_unique_primary_email_fixup','2026-11-28 21:26:55.766448'),
(24,'account','0009_emailaddress_unique_primary_email','2026-11-28 21:26:55.794746'),
(25,'admin','0001_initial','2026-11-28 21:26:55.846541'),
(26,'admin','0002_logentry_remove_auto_add','2026-11-28 21:26:55.895754'),
(27,'admin','0003_logentry_add_action_flag_choices','2026-11-28 21:26:55.913361'),
(28,'conversations','0002_cache_table','2026-11-28 21:26:55.953430'),
(29,'conversations','0003_preferences','2026-11-28 21:26:56.104694'),
(30,'conversations','0004_turns_as_a_tree','2026-11-28 21:26:56.263714'),
(31,'conversations','0005_accountable_review','2026-11-28 21:26:56.587863'),
(32,'conversations','0006_notices_held_back','2026-11-28 21:26:56.903489'),
(33,'conversations','0007_review_queue','2026-11-28 21:26:58.170136'),
(34,'conversations','0008_newest_of_all','2026-11-28 21:26:58.226489'),
(35,'conversations','0009_search','2026-11-28 21:26:58.311645'),
(36,'conversations','0010_legal_holds','2026-11-28 21:26:58.463772'),
(37,'conversations','0011_days_of_use','2026-11-28 21:26:58.779941'),
(38,'conversations','0012_words_of_reasoning','2026-11-28 21:26:58.833113'),
(39,'conversations','0013_what_was_sent','2026-11-28 21:26:59.068197'),
(40,'sessions','0001_initial','2026-11-28 21:26:59.080440'),
(41,'socialaccount','0001_initial','2026-11-28 21:26:59.383768'),
(42,'socialaccount','0002_token_max_lengths','2026-11-28 21:26:59.584409'),
(43,'socialaccount','0003_extra_data_default_dict','2026-11-28 21:26:59.646575'),
(44,'socialaccount','0004_app_provider_id_settings','2026-11-28 21:26:59.810793'),
(45,'socialaccount','0005_socialtoken_nullable_app','2026-11-28 21:26:59.973441'),
(46,'socialaccount','0006_alter_socialaccount_extra_data','2026-11-28 21:27:00.081247');
INSERT INTO "django_content_type" VALUES
(1,'conversations','conversation'),
(2,'conversations','worker'),
(3,'conversations','user'),
(4,'conversations','message'),
(5,'conversations','generation'),
(6,'conversations','chunk'),
(7,'conversations','case'),
(8,'conversations','auditentry'),
(9,'conversations','feedback'),
(10,'conversations','item'),
(11,'conversations','rule'),
(12,'conversations','legalhold'),
(13,'conversations','dayofuse'),
(14,'admin','logentry'),
(15,'auth','permission'),
(16,'auth','group'),
(17,'contenttypes','contenttype'),
(18,'sessions','session'),
(19,'account','emailaddress'),
(20,'account','emailconfirmation'),
(21,'socialaccount','socialaccount'),
(22,'socialaccount','socialapp'),
(23,'socialaccount','socialtoken');
INSERT INTO "auth_group_permissions" VALUES
(1,1,1),
(2,1,2),
(3,1,3),
(4,1,4);
INSERT INTO "auth_permission" VALUES
(1,1,'list_conversations','Can list conversations: whose, when and how they ended, without any content'),
(2,1,'read_conversations','Can read conversations: titles, prompts and answers'),
(3,1,'read_reasoning','Can read what models thought, beside what may be read'),
(4,1,'export_conversations','Can export what may be read'),
(5,2,'add_worker','Can add worker'),
(6,2,'change_worker','Can change worker'),
(7,2,'delete_worker','Can delete worker'),
(8,2,'view_worker','Can view worker'),
(9,3,'add_user','Can add user'),
(10,3,'change_user','Can change user'),
(11,3,'delete_user','Can delete user'),
(12,3,'view_user','Can view user'),
(13,4,'add_message','Can add message'),
(14,4,'change_message','Can change message'),
(15,4,'delete_message','Can delete message'),
(16,4,'view_message','Can view message'),
(17,5,'add_generation','Can add generation'),
(18,5,'change_generation','Can change generation'),
(19,5,'delete_generation','Can delete generation'),
(20,5,'view_generation','Can view generation'),
(21,6,'add_chunk','Can add chunk'),
(22,6,'change_chunk','Can change chunk'),
(23,6,'delete_chunk','Can delete chunk'),
(24,6,'view_chunk','Can view chunk'),
(25,8,'view_auditentry','Can view audit entry'),
(26,11,'add_rule','Can add rule'),
(27,11,'change_rule','Can change rule'),
(28,11,'delete_rule','Can delete rule'),
(29,11,'view_rule','Can view rule'),
(30,12,'add_legalhold','Can add legal hold'),
(31,12,'change_legalhold','Can change legal hold'),
(32,12,'delete_legalhold','Can delete legal hold'),
(33,12,'view_legalhold','Can view legal hold'),
(34,14,'add_logentry','Can add log entry'),
(35,14,'change_logentry','Can change log entry'),
(36,14,'delete_logentry','Can delete log entry'),
(37,14,'view_logentry','Can view log entry'),
(38,15,'add_permission','Can add permission'),
(39,15,'change_permission','Can change permission'),
(40,15,'delete_permission','Can delete permission'),
(41,15,'view_permission','Can view permission'),
(42,16,'add_group','Can add group'),
(43,16,'change_group','Can change group'),
(44,16,'delete_group','Can delete group'),
(45,16,'view_group','Can view group'),
(46,17,'add_contenttype','Can add content type'),
(47,17,'change_contenttype','Can change content type'),
(48,17,'delete_contenttype','Can delete content type'),
(49,17,'view_contenttype','Can view content type'),
(50,18,'add_session','Can add session'),
(51,18,'change_session','Can change session'),
(52,18,'delete_session','Can delete session'),
(53,18,'view_session','Can view session'),
(54,19,'add_emailaddress','Can add email address'),
(55,19,'change_emailaddress','Can change email address'),
(56,19,'delete_emailaddress','Can delete email address'),
(57,19,'view_emailaddress','Can view email address'),
(58,20,'add_emailconfirmation','Can add email confirmation'),
(59,20,'change_emailconfirmation','Can change email confirmation'),
(60,20,'delete_emailconfirmation','Can delete email confirmation'),
(61,20,'view_emailconfirmation','Can view email confirmation'),
(62,21,'add_socialaccount','Can add social account'),
(63,21,'change_socialaccount','Can change social account'),
(64,21,'delete_socialaccount','Can delete social account'),
(65,21,'view_socialaccount','Can view social account'),
(66,22,'add_socialapp','Can add social application'),
(67,22,'change_socialapp','Can change social application'),
(68,22,'delete_socialapp','Can delete social application'),
(69,22,'view_socialapp','Can view social application'),
(70,23,'add_socialtoken','Can add social application token'),
(71,23,'change_socialtoken','Can change social application token'),
(72,23,'delete_socialtoken','Can delete social application token'),
(73,23,'view_socialtoken','Can view social application token');
INSERT INTO "auth_group" VALUES
(1,'Reviewer');
INSERT INTO "conversations_worker" VALUES
(2,1,'2026-11-28 21:27:39.923820');
INSERT INTO "conversations_user_groups" VALUES
(1,4,1),
(2,3,1);
INSERT INTO "conversations_conversation" VALUES
('63d45769228f4921873b717e7f0f10a0','What will become of this?','2026-11-28 21:27:23.331604','2026-11-28 21:27:23.582002',5,2),
('d06076533aec405486118e3ad8246a65','Which is greater?','2026-11-28 21:27:24.283597','2026-11-28 21:27:24.606777',2,7),
('8de27d28bfa4438397f152cdab1df201','Be long','2026-11-28 21:27:24.649638','2026-11-28 21:27:24.851682',2,9),
('d265bd5fc7434b36adfa1663a279f637','Be filtered','2026-11-28 21:27:24.979569','2026-11-28 21:27:25.047974',2,11),
('f6c9b25ae7844b8597c36be6aca1fb43','Fail','2026-11-28 21:27:25.090168','2026-11-28 21:27:25.102980',2,13),
('8db18f175f2841ff93abcca2a272c754','Be stopped','2026-11-28 21:27:25.133203','2026-11-28 21:27:25.467522',2,15),
('cdd21000f154468982da61df4ab6e693','Be deleted','2026-11-28 21:27:26.583452','2026-11-28 21:27:26.604026',2,17),
('ccd4ff013f754209907109603e1a7d42','Be interrupted','2026-11-28 21:27:31.980372','2026-11-28 21:27:32.496181',2,21),
('7a1e0aad84a541f1a0502de22ed69b2c','Think on','2026-11-28 21:27:40.100224','2026-11-28 21:27:41.123067',2,29),
('7f2d3598b3df42829f617198e31e95f5','Answer on','2026-11-28 21:27:40.394083','2026-11-28 21:27:40.402180',2,25),
('82c0d3eb8ea84df8983eb048ecc8f684','Say nothing','2026-11-28 21:27:41.043174','2026-11-28 21:27:41.046120',2,27),
('96a9bcbc9e044e649272cc1ee49a72b4','Wait for a slot','2026-11-28 21:27:41.130159','2026-11-28 21:27:41.130936',2,31);
INSERT INTO "conversations_message" VALUES
(1,'user','What will become of this?','','2026-11-28 21:27:23.333739','63d45769228f4921873b717e7f0f10a0',NULL,NULL),
(2,'assistant','It is **9.8** of the two.','The decimals decide. So it is 9.8.','2026-11-28 21:27:23.334568','63d45769228f4921873b717e7f0f10a0',1,7),
(3,'user','Which is greater?','','2026-11-28 21:27:24.284281','d06076533aec405486118e3ad8246a65',NULL,NULL),
(4,'assistant','It is **9.8** of the two.','The decimals decide. So it is 9.8.','2026-11-28 21:27:24.284767','d06076533aec405486118e3ad8246a65',3,7),
(5,'assistant','It is **9.8** of the two.','The decimals decide. So it is 9.8.','2026-11-28 21:27:24.396503','d06076533aec405486118e3ad8246a65',3,7),
(6,'user','Which is greater, 9.11 or 9.8?','','2026-11-28 21:27:24.584753','d06076533aec405486118e3ad8246a65',NULL,NULL),
(7,'assistant','It is **9.8** of the two.','The decimals decide. So it is 9.8.','2026-11-28 21:27:24.585384','d06076533aec405486118e3ad8246a65',6,7),
(8,'user','Be long','','2026-11-28 21:27:24.650343','8de27d28bfa4438397f152cdab1df201',NULL,NULL),
(9,'assistant','**9.8**, as a long list and its end.','The decimals decide. So it is 9.8.

The decimals decide. So it is 9.8.','2026-11-28 21:27:24.650865','8de27d28bfa4438397f152cdab1df201',8,14),
(10,'user','Be filtered','','2026-11-28 21:27:24.980445','d265bd5fc7434b36adfa1663a279f637',NULL,NULL),
(11,'assistant','It is **9.8** of the two.','The decimals decide. So it is 9.8.','2026-11-28 21:27:24.981032','d265bd5fc7434b36adfa1663a279f637',10,7),
(12,'user','Fail','','2026-11-28 21:27:25.090799','f6c9b25ae7844b8597c36be6aca1fb43',NULL,NULL),
(13,'assistant','','','2026-11-28 21:27:25.091402','f6c9b25ae7844b8597c36be6aca1fb43',12,0),
(14,'user','Be stopped','','2026-11-28 21:27:25.133851','8db18f175f2841ff93abcca2a272c754',NULL,NULL),
(15,'assistant','It is **9.8** of the two.','The decimals decide. So it is 9.8.','2026-11-28 21:27:25.134452','8db18f175f2841ff93abcca2a272c754',14,7),
(16,'user','Be deleted','','2026-11-28 21:27:26.584423','cdd21000f154468982da61df4ab6e693',NULL,NULL),
(17,'assistant','It is **9.8** of the two.','The decimals decide. So it is 9.8.','2026-11-28 21:27:26.586236','cdd21000f154468982da61df4ab6e693',16,7),
(20,'user','Be interrupted','','2026-11-28 21:27:31.981317','ccd4ff013f754209907109603e1a7d42',NULL,NULL),
(21,'assistant','It is **9.8** of the two.','The decimals decide. So it is 9.8.','2026-11-28 21:27:31.981927','ccd4ff013f754209907109603e1a7d42',20,7),
(22,'user','Think on','','2026-11-28 21:27:40.102359','7a1e0aad84a541f1a0502de22ed69b2c',NULL,NULL),
(23,'assistant','','','2026-11-28 21:27:40.113918','7a1e0aad84a541f1a0502de22ed69b2c',22,NULL),
(24,'user','Answer on','','2026-11-28 21:27:40.394785','7f2d3598b3df42829f617198e31e95f5',NULL,NULL),
(25,'assistant','','','2026-11-28 21:27:40.396167','7f2d3598b3df42829f617198e31e95f5',24,NULL),
(26,'user','Say nothing','','2026-11-28 21:27:41.045220','82c0d3eb8ea84df8983eb048ecc8f684',NULL,NULL),
(27,'assistant','','','2026-11-28 21:27:41.045888','82c0d3eb8ea84df8983eb048ecc8f684',26,NULL),
(28,'user','Wait behind','','2026-11-28 21:27:41.122604','7a1e0aad84a541f1a0502de22ed69b2c',23,NULL),
(29,'assistant','','','2026-11-28 21:27:41.122957','7a1e0aad84a541f1a0502de22ed69b2c',28,NULL),
(30,'user','Wait for a slot','','2026-11-28 21:27:41.130532','96a9bcbc9e044e649272cc1ee49a72b4',NULL,NULL),
(31,'assistant','','','2026-11-28 21:27:41.130823','96a9bcbc9e044e649272cc1ee49a72b4',30,NULL);
INSERT INTO "conversations_chunk" VALUES
(5,1,0,'reasoning','The decimals decide. ',13),
(6,1,0,'reasoning','The decimals decide. So it is 9.8.',14),
(7,1,1,'answer','It is **9.8** of the two.',14);
INSERT INTO "account_emailaddress" VALUES
(1,0,1,2,'owner@example.org'),
(2,0,1,3,'reviewer@example.org'),
(3,0,1,4,'limited@example.org'),
(4,0,1,5,'deactivated@example.org');
INSERT INTO "django_admin_log" VALUES
(1,'4','limited',2,'[{"changed": {"fields": ["Staff status", "Groups", "Last login", "Date joined", "Reviews only the groups below", "Groups this person reviews"]}}]',3,1,'2026-11-28 21:27:19.132387'),
(2,'3','reviewer',2,'[{"changed": {"fields": ["Staff status", "Groups", "Last login", "Date joined"]}}]',3,1,'2026-11-28 21:27:23.298636'),
(3,'5','deactivated',2,'[{"changed": {"fields": ["Active", "Last login", "Date joined"]}}]',3,1,'2026-11-28 21:27:23.469481'),
(4,'1','Lists',1,'[{"added": {}}]',11,1,'2026-11-28 21:27:24.263806'),
(5,'1','Legal hold 1',1,'[{"added": {}}]',12,1,'2026-11-28 21:27:26.543955'),
(6,'2','Legal hold 2',1,'[{"added": {}}]',12,1,'2026-11-28 21:27:26.633087'),
(7,'3','Legal hold 3',1,'[{"added": {}}]',12,1,'2026-11-28 21:27:26.729526'),
(8,'3','Legal hold 3',2,'[{"changed": {"fields": ["Lifted at"]}}]',12,1,'2026-11-28 21:27:26.800099');
INSERT INTO "cache" VALUES
(':1:allauth:rl:allauth.account:login:30/60/ip:ip:2001:db8::','gAWVDQAAAAAAAABdlEdB2sLRzQvd02Eu','2026-11-28 21:28:16');
INSERT INTO "conversations_generation" VALUES
(1,NULL,'complete',1,NULL,0,'','stop','test-model',12,20,10,'2026-11-28 21:27:23.348226','2026-11-28 21:27:23.362522','2026-11-28 21:27:23.581356','2026-11-28 21:27:23.581367','2026-11-28 21:27:23.582002','63d45769228f4921873b717e7f0f10a0',5,NULL,2,NULL,NULL,0,'{"body": {"model": "test-model", "stream": true, "stream_options": {"include_usage": true}}, "system": "", "marks": {}, "after": []}',NULL),
(2,NULL,'complete',1,NULL,0,'','stop','test-model',12,20,10,'2026-11-28 21:27:24.285869','2026-11-28 21:27:24.291398','2026-11-28 21:27:24.299447','2026-11-28 21:27:24.299455','2026-11-28 21:27:24.300520','d06076533aec405486118e3ad8246a65',2,NULL,4,NULL,NULL,0,'{"body": {"model": "test-model", "stream": true, "stream_options": {"include_usage": true}}, "system": "", "marks": {}, "after": []}',NULL),
(3,NULL,'complete',1,NULL,0,'','stop','test-model',12,20,10,'2026-11-28 21:27:24.397661','2026-11-28 21:27:24.399743','2026-11-28 21:27:24.414537','2026-11-28 21:27:24.414551','2026-11-28 21:27:24.431374','d06076533aec405486118e3ad8246a65',2,NULL,5,NULL,NULL,0,'{"body": {"model": "test-model", "stream": true, "stream_options": {"include_usage": true}}, "system": "", "marks": {}, "after": []}',NULL),
(4,NULL,'complete',1,NULL,0,'','stop','test-model',12,20,10,'2026-11-28 21:27:24.586485','2026-11-28 21:27:24.595943','2026-11-28 21:27:24.605807','2026-11-28 21:27:24.605817','2026-11-28 21:27:24.606777','d06076533aec405486118e3ad8246a65',2,NULL,7,NULL,NULL,0,'{"body": {"model": "test-model", "stream": true, "stream_options": {"include_usage": true}}, "system": "", "marks": {}, "after": []}',NULL),
(5,NULL,'length',1,NULL,0,'','length','test-model',12,20,10,'2026-11-28 21:27:24.652731','2026-11-28 21:27:24.660438','2026-11-28 21:27:24.669376','2026-11-28 21:27:24.713367','2026-11-28 21:27:24.716262','8de27d28bfa4438397f152cdab1df201',2,NULL,9,NULL,NULL,0,'{"body": {"model": "test-model", "stream": true, "stream_options": {"include_usage": true}}, "system": "", "marks": {}, "after": []}',NULL),
(6,NULL,'complete',1,NULL,0,'','stop','test-model',12,20,10,'2026-11-28 21:27:24.789393','2026-11-28 21:27:24.796457','2026-11-28 21:27:24.842039','2026-11-28 21:27:24.842048','2026-11-28 21:27:24.851682','8de27d28bfa4438397f152cdab1df201',2,NULL,9,NULL,23,0,'{"body": {"model": "test-model", "stream": true, "stream_options": {"include_usage": true}}, "system": "", "marks": {}, "after": [{"role": "user", "content": "Your answer was cut off. Write the rest of it and nothing else: no greeting, no remark, no new beginning. Start by repeating its last words exactly as they stand here, so that the two parts can be joined:\n\n**9.8**, as a long list"}]}',NULL),
(7,NULL,'filtered',1,NULL,0,'The endpoint''s content filter refused this. Put the prompt in other words and ask again.','content_filter','test-model',12,20,10,'2026-11-27 12:00:00','2026-11-28 21:27:24.989795','2026-11-28 21:27:25.032179','2026-11-28 21:27:25.032189','2026-11-28 21:27:25.047974','d265bd5fc7434b36adfa1663a279f637',2,NULL,11,NULL,NULL,0,'{"body": {"model": "test-model", "stream": true, "stream_options": {"include_usage": true}}, "system": "", "marks": {}, "after": []}',NULL),
(8,NULL,'failed',1,NULL,0,'The model''s endpoint reported an error. Your prompt is kept: try again, or ask the site''s operator.','','test-model',NULL,NULL,NULL,'2026-11-28 21:27:25.093275','2026-11-28 21:27:25.095032',NULL,NULL,'2026-11-28 21:27:25.102980','f6c9b25ae7844b8597c36be6aca1fb43',2,NULL,13,NULL,NULL,0,'{"body": {"model": "test-model", "stream": true, "stream_options": {"include_usage": true}}, "system": "", "marks": {}, "after": []}',NULL),
(9,NULL,'stopped',1,NULL,1,'','','test-model',NULL,NULL,NULL,'2026-11-28 21:27:25.135606','2026-11-28 21:27:25.137394','2026-11-28 21:27:25.147933','2026-11-28 21:27:25.147941','2026-11-28 21:27:25.467522','8db18f175f2841ff93abcca2a272c754',2,NULL,15,NULL,NULL,0,'{"body": {"model": "test-model", "stream": true, "stream_options": {"include_usage": true}}, "system": "", "marks": {}, "after": []}',NULL),
(10,NULL,'complete',1,NULL,0,'','stop','test-model',12,20,10,'2026-11-28 21:27:26.587553','2026-11-28 21:27:26.590335','2026-11-28 21:27:26.602736','2026-11-28 21:27:26.602745','2026-11-28 21:27:26.604026','cdd21000f154468982da61df4ab6e693',2,NULL,17,NULL,NULL,0,'{"body": {"model": "test-model", "stream": true, "stream_options": {"include_usage": true}}, "system": "", "marks": {}, "after": []}',NULL),
(12,NULL,'interrupted',1,NULL,0,'The server restarted at 21:27 UTC; 59 characters are kept.','','test-model',NULL,NULL,NULL,'2026-11-28 21:27:31.983128','2026-11-28 21:27:31.985379','2026-11-28 21:27:32.023470','2026-11-28 21:27:32.063054','2026-11-28 21:27:32.496181','ccd4ff013f754209907109603e1a7d42',2,NULL,21,NULL,NULL,0,'{"body": {"model": "test-model", "stream": true, "stream_options": {"include_usage": true}}, "system": "", "marks": {}, "after": []}',NULL),
(13,NULL,'thinking',1,0,0,'','','test-model',NULL,NULL,NULL,'2026-11-28 21:27:40.119773','2026-11-28 21:27:40.168767','2026-11-28 21:27:40.406224',NULL,NULL,'7a1e0aad84a541f1a0502de22ed69b2c',2,NULL,23,2,NULL,0,'{"body": {"model": "test-model", "stream": true, "stream_options": {"include_usage": true}}, "system": "", "marks": {}, "after": []}',NULL),
(14,NULL,'answering',1,1,0,'','','test-model',NULL,NULL,NULL,'2026-11-28 21:27:40.403229','2026-11-28 21:27:40.412892','2026-11-28 21:27:40.460079','2026-11-28 21:27:40.460091',NULL,'7f2d3598b3df42829f617198e31e95f5',2,NULL,25,2,NULL,0,'{"body": {"model": "test-model", "stream": true, "stream_options": {"include_usage": true}}, "system": "", "marks": {}, "after": []}',NULL),
(15,NULL,'thinking',1,2,0,'','','',NULL,NULL,NULL,'2026-11-28 21:27:41.047050','2026-11-28 21:27:41.109589',NULL,NULL,NULL,'82c0d3eb8ea84df8983eb048ecc8f684',2,NULL,27,2,NULL,0,NULL,NULL),
(16,NULL,'queued',0,NULL,0,'','','',NULL,NULL,NULL,'2026-11-28 21:27:41.123761',NULL,NULL,NULL,NULL,'7a1e0aad84a541f1a0502de22ed69b2c',2,NULL,29,NULL,NULL,0,NULL,NULL),
(17,NULL,'queued',0,NULL,0,'','','',NULL,NULL,NULL,'2026-11-28 21:27:41.155784',NULL,NULL,NULL,NULL,'96a9bcbc9e044e649272cc1ee49a72b4',2,NULL,31,NULL,NULL,0,NULL,NULL);
INSERT INTO "conversations_user_review_groups" VALUES
(1,4,1);
INSERT INTO "conversations_user" VALUES
(1,'md5$n72SkMnfSkuAVhkugJiGhp$71714327e991005a07cf161fc6810245','2026-11-28 21:27:16.298130',1,'admin','','','',1,1,'2026-11-28 21:27:13.550742','thinking',1,'',0),
(2,'md5$GjpR6smtU4502UojED67Mi$66fc2e3323001ae0df601281fb828c75','2026-11-28 21:27:17.362861',0,'owner','','','owner@example.org',0,1,'2026-11-28 21:27:17.303797','always',0,'dark',0),
(3,'md5$SbU8XSOjXq8ugyPmrWj1sh$6d4c9c2b081353f18d254c4c31acf3d5',NULL,0,'reviewer','','','reviewer@example.org',1,1,'2026-01-01 00:00:00','thinking',1,'',0),
(4,'md5$8PhA9mGy42v3h8KE2koSGm$97118cb23cb9115f8cb0f3039ed8f37a',NULL,0,'limited','','','limited@example.org',1,1,'2026-01-01 00:00:00','thinking',1,'',1),
(5,'md5$1EHSlc72QwWgOJFc2rLVwA$ffa36ae2d3ff3ea9da1a3283549468f7',NULL,0,'deactivated','','','deactivated@example.org',0,0,'2026-01-01 00:00:00','thinking',1,'',0),
(6,'!scFM2ZQqy35YIBgdnex76Wkjvd4sl7QDKL1nwr3f','2026-11-28 21:27:24.202987',0,'ada@example.org','Ada','Lovelace','',0,1,'2026-11-28 21:27:24.157710','thinking',1,'',0);
INSERT INTO "conversations_auditentry" VALUES
(4,'2026-11-28 21:27:22.227129','trimmed',NULL,'','','',NULL,'','',NULL,NULL,NULL,'{"through": 3, "mac": "1767f5b1d9f6876266fdebcaef2b8f8d00940ab8d7ed7661566a15324b94ad68"}','1767f5b1d9f6876266fdebcaef2b8f8d00940ab8d7ed7661566a15324b94ad68','95e0e7084c946e4966b5134e7f78816025dc311b90341166a071abcbc7f8edcf'),
(5,'2026-11-28 21:27:23.278299','granted',1,'admin','Reviewer','2001:db8::1',NULL,'','',NULL,NULL,NULL,'{"to": ["user 3"], "change": "given", "things": ["group 1"]}','95e0e7084c946e4966b5134e7f78816025dc311b90341166a071abcbc7f8edcf','d374830660cb7997f22a1dc5a5a975dee878de3e51170b4b7547c1346702fb45'),
(6,'2026-11-28 21:27:25.584043','case',3,'reviewer','Reviewer','2001:db8::3',1,'Complaint','Ticket 7',NULL,NULL,NULL,'{}','d374830660cb7997f22a1dc5a5a975dee878de3e51170b4b7547c1346702fb45','b792014a8a80cc0063bd957103b2af10def519f31fe80bf8b6ff3c3803f02386'),
(7,'2026-11-28 21:27:25.640979','opened',3,'reviewer','Reviewer','2001:db8::3',1,'Complaint','Ticket 7',2,'d06076533aec405486118e3ad8246a65',NULL,'{}','b792014a8a80cc0063bd957103b2af10def519f31fe80bf8b6ff3c3803f02386','595cfb3bbcb38957c4d9e1a0c45279e2c4bdfec434c1d878f67b8b1084ef7884'),
(8,'2026-11-28 21:27:25.645623','reasoning',3,'reviewer','Reviewer','2001:db8::3',1,'Complaint','Ticket 7',2,'d06076533aec405486118e3ad8246a65',7,'{}','595cfb3bbcb38957c4d9e1a0c45279e2c4bdfec434c1d878f67b8b1084ef7884','f21cc68a6ba4f66cc828bb43f5ae1c69537cba757da254958883ae6c64ea77ec'),
(9,'2026-11-28 21:27:25.832592','searched',3,'reviewer','Reviewer','2001:db8::3',1,'Complaint','Ticket 7',NULL,NULL,NULL,'{"words": "greater", "reasoning": 0}','f21cc68a6ba4f66cc828bb43f5ae1c69537cba757da254958883ae6c64ea77ec','24fffd570c17d0a687b465be90778388c9f73a215385c075e4e49f5b2779e877'),
(10,'2026-11-28 21:27:25.843462','found',3,'reviewer','Reviewer','2001:db8::3',1,'Complaint','Ticket 7',2,'d06076533aec405486118e3ad8246a65',NULL,'{"reasoning": 0}','24fffd570c17d0a687b465be90778388c9f73a215385c075e4e49f5b2779e877','bb2f8d2c839fab2f66ebe2f79552632f9704f39a88d59ed8dbec66269bf82a49'),
(11,'2026-11-28 21:27:25.942327','exported',3,'reviewer','Reviewer','2001:db8::3',1,'Complaint','Ticket 7',NULL,NULL,NULL,'{"criteria": {"outcome": "length"}, "conversations_asked": 1, "form": "jsonl"}','bb2f8d2c839fab2f66ebe2f79552632f9704f39a88d59ed8dbec66269bf82a49','5bbb2dda257241bc75dff6b0c365c5a031281c8411177322ae48aa1b6aedb821'),
(12,'2026-11-28 21:27:25.947201','exported',3,'reviewer','Reviewer','2001:db8::3',1,'Complaint','Ticket 7',2,'8de27d28bfa4438397f152cdab1df201',NULL,'{"form": "jsonl"}','5bbb2dda257241bc75dff6b0c365c5a031281c8411177322ae48aa1b6aedb821','f458aeb70548aebd3dca3f5a2d759142738eec5a032e4e1a9f8ae737e48aff76'),
(13,'2026-11-28 21:27:26.015085','hold_asked',3,'reviewer','Reviewer','2001:db8::3',1,'Complaint','Ticket 7',NULL,NULL,NULL,'{"days": 9, "why": "An inquiry"}','f458aeb70548aebd3dca3f5a2d759142738eec5a032e4e1a9f8ae737e48aff76','7bfbc45abdd271924dc1f779f2cf23fdd774668dfdcb6c2ce5f7d9ef524a301c'),
(14,'2026-11-28 21:27:26.074168','hold_given',4,'limited','Reviewer','2001:db8::4',1,'Complaint','Ticket 7',NULL,NULL,NULL,'{"until": "2026-12-07T21:27:26.062472+00:00", "of": "user 3"}','7bfbc45abdd271924dc1f779f2cf23fdd774668dfdcb6c2ce5f7d9ef524a301c','3d0cb0392947a3173f312fe4a349e172f9ad87801ff0aa2c18e9dfe775a828ac'),
(15,'2026-11-28 21:27:26.276505','case',3,'reviewer','Reviewer','2001:db8::3',2,'Reported by its owner','Queue item 1',NULL,NULL,NULL,'{}','3d0cb0392947a3173f312fe4a349e172f9ad87801ff0aa2c18e9dfe775a828ac','a09c0284d8d2f04fc4fcf9d71aaa3ff16a37b054e19676adec9b765f646114e5'),
(16,'2026-11-28 21:27:26.326977','case',3,'reviewer','Reviewer','2001:db8::3',3,'Feedback shared by its owner','Queue item 2',NULL,NULL,NULL,'{}','a09c0284d8d2f04fc4fcf9d71aaa3ff16a37b054e19676adec9b765f646114e5','f95429827a6cad15f9c82f6be1e02aa70fe92aa401c43f6cbadc9757d99ace1c'),
(17,'2026-11-28 21:27:26.369748','opened',3,'reviewer','Reviewer','2001:db8::3',3,'Feedback shared by its owner','Queue item 2',2,'8de27d28bfa4438397f152cdab1df201',NULL,'{}','f95429827a6cad15f9c82f6be1e02aa70fe92aa401c43f6cbadc9757d99ace1c','a7bbc692d878e1ea23bd1bfb82021288ee6e9c6e05e11039aaa3ec99bd40d23f'),
(18,'2026-11-28 21:27:26.533979','held',1,'admin','Reviewer','2001:db8::1',NULL,'','',NULL,NULL,NULL,'{"hold": 1, "on": "5", "why": "Order 1"}','a7bbc692d878e1ea23bd1bfb82021288ee6e9c6e05e11039aaa3ec99bd40d23f','b3bbcd643e06aa546e64ec3d2a63faa84dea1a8e6742ae27bdc19fa839076c45'),
(19,'2026-11-28 21:27:26.632211','held',1,'admin','Reviewer','2001:db8::1',NULL,'','',NULL,NULL,NULL,'{"hold": 2, "on": "d0607653-3aec-4054-8611-8e3ad8246a65", "why": "Order 2"}','b3bbcd643e06aa546e64ec3d2a63faa84dea1a8e6742ae27bdc19fa839076c45','71e4d495b59c31ec6cf4f8a2c9662e7f16739ae74e31c03148c8fecd20f99b8f'),
(20,'2026-11-28 21:27:26.728539','held',1,'admin','Reviewer','2001:db8::1',NULL,'','',NULL,NULL,NULL,'{"hold": 3, "on": "cdd21000-f154-4689-82da-61df4ab6e693", "why": "Order 3"}','71e4d495b59c31ec6cf4f8a2c9662e7f16739ae74e31c03148c8fecd20f99b8f','811d63c8095714d6ad66c4f1be86e722b8351cadb7c5456c27e4e5f01974f3f0'),
(21,'2026-11-28 21:27:26.790773','lifted',1,'admin','Reviewer','2001:db8::1',NULL,'','',NULL,NULL,NULL,'{"hold": 3, "on": "cdd21000-f154-4689-82da-61df4ab6e693", "why": "Order 3"}','811d63c8095714d6ad66c4f1be86e722b8351cadb7c5456c27e4e5f01974f3f0','c72e53ddfe54e7002412613dfb72294b46e28b1533aeaf15218ffe9757127675'),
(22,'2026-11-28 21:27:30.648008','pruned',NULL,'','','',NULL,'','',3,'d3241c910dc64481aa37b866c4251264',NULL,'{}','c72e53ddfe54e7002412613dfb72294b46e28b1533aeaf15218ffe9757127675','7c335bd50f63cd784fc44cebb99a661401acd48830c83d6eeb5c5161065ea0c8');
INSERT INTO "conversations_case" VALUES
(1,'Complaint','Ticket 7','2026-11-28 21:27:25.580920','2026-11-28 21:27:26.273639',3,4,9,'2100-01-01 00:00:00','An inquiry'),
(2,'Reported by its owner','Queue item 1','2026-11-28 21:27:26.274009','2026-11-28 21:27:26.324070',3,NULL,NULL,NULL,''),
(3,'Feedback shared by its owner','Queue item 2','2026-11-28 21:27:26.324503',NULL,3,NULL,NULL,NULL,'');
INSERT INTO "conversations_rule" VALUES
(1,'Lists','long list','',100,1,'2026-11-28 21:27:25.467522');
INSERT INTO "conversations_item" VALUES
(1,'Reported by its owner','2026-11-28 21:27:24.382439','2026-11-28 21:27:26.272643','2026-11-28 21:27:26.298202','poor','Checked','d06076533aec405486118e3ad8246a65',4,3,3,NULL),
(2,'Feedback shared by its owner','2026-11-28 21:27:24.941873','2026-11-28 21:27:26.322854',NULL,'','','8de27d28bfa4438397f152cdab1df201',9,NULL,3,NULL),
(3,'Lists','2026-11-28 21:27:26.142109',NULL,NULL,'','','8de27d28bfa4438397f152cdab1df201',9,NULL,NULL,1);
INSERT INTO "conversations_legalhold" VALUES
(1,'Order 1','2026-11-28 21:27:26.514185',NULL,NULL,5),
(2,'Order 2','2026-11-28 21:27:26.625919',NULL,'d06076533aec405486118e3ad8246a65',NULL),
(3,'Order 3','2026-11-28 21:27:26.707155','2026-01-02 00:00:00','cdd21000f154468982da61df4ab6e693',NULL);
INSERT INTO "conversations_dayofuse" VALUES
(1,'UTC','2026-11-26','{}'),
(2,'UTC','2026-11-27','{"people": 1, "live": 0, "answers": [["test-model", "filtered", "The endpoint''s content filter refused this. Put the prompt in other words and ask again.", 1, 42, 1, 0, 0, 0, 0]], "times": [[[1204450, 1]], [[1204450, 1]], [[1, 1]]]}');
INSERT INTO "conversations_feedback" VALUES
(1,'report','It is wrong.',1,'2026-11-28 21:27:24.381636',4,'d06076533aec405486118e3ad8246a65'),
(2,'good','',0,'2026-11-28 21:27:24.636470',7,'d06076533aec405486118e3ad8246a65'),
(3,'bad','',1,'2026-11-28 21:27:24.941149',9,'8de27d28bfa4438397f152cdab1df201');
INSERT INTO "django_session" VALUES
('session-of-admin','.eJyFkM1qwzAQhN9lz8boz5LlW_sapZjVj7FoLAdLpgkh717J9SX00NsyO_MNuw9Aa9c95hH3PPuYg8Uc1jguPs-rSzB8POB3hgGumNL3ujloADMMVOlOE8q4bJmQnNMG9uS3iIsvZnRLiPD8bP6pGGum-GmhHpZDGIP7qxm0Xz7WBV4uVW5PdHt4znVq316K3s_UC2rGNBdOT61QiiNH2UtBJkYoTpQ5b7XwzHFUPbdoxeSUYT0q1xkvTWekY7zTvazQ5FOq9_jbNWz38hZGtCTk-QNRvnVy:1xXPwy:LjtusSerh4mrwTKLeiQxsnVEq1grEu24m6oHI-3dthg','2100-01-01 00:00:00'),
('session-of-owner','.eJxVjEEOgyAURO_y141BBBF37UXIBz6RlGIi0E3Tu1cbNy7nzcz7ADq3tlzNm7YYInlDL4wJ5txSuoHBVhfTCm0mepiBw4VZdE_KR4EpHbg7dd1_c9alu--Jco0Oa1zz43xdVAuWZfcQs8JrLTQPw2DVOAo9hZGp3rNeSvSM84BSailwsnJgkvrguUdL2gaFCr4_ZOJHgw:1xXPwz:w3EjynCa56PVUi_fAtc2JPj-zana3h_EvE9BA-DrGEM','2100-01-01 00:00:00'),
('session-of-reviewer','.eJxVjE0OgjAYRO_StSFAW6Ts9CLN99fQWEsirRvj3QXDhuW8mXkfBURLzcW_5RVDFPbyhJjUlGtKF-WhltnXVV4-spqUVieGQA_JewEp7bg5dM1_c9Rrc9uS5BIJSlzy_XidVDOs8-axNrC-Cg6I2AbqtaYAIzIQYG-MRT2KZXHOcDDd0LoQdMc0kDVk2Vn1_QG9bUkA:1xXPx0:iAllaQ-Zp5dXwP6LI349tKo6Ywe7quS4SV2njwlDiNc','2100-01-01 00:00:00'),
('session-of-limited','.eJxVjM0OgyAQhN-Fc2OU5ad4a1-ELCsbSSkmFXpp-u7VxovH-Wbm-wgkWlqp_h1fiVOcfHxiymIsLeeL8Njq7NsaXz5NYhRKnFhAesSyF5jzjrtD1_03R712ty3FUhNhTUu5H6-TasZ13jwGgGUPFIDZsLuCQmcg9E6TtCCVZjWxcspBsGAHlmytJmOCwiFo0uL7A2beRwI:1xXPx0:fG9q6xB970yN4NNRFn5eGpADlbdcqIezx7iOnyXLui4','2100-01-01 00:00:00'),
('session-of-deactivated','.eJxVjEEOgyAURO_y143BgqLu6kXIgJ9ISjFR6Kbp3auNG5fzZuZ9CM4tJWXz5jX4wJPhF0KkIZUYb2RQ8mzKxqsJEw3U0IVZuCeno0CMB65OXfXfnPVWPfbEKQeHHJY0nq-LasY27x7he-U7WcNrV2sNZlawYG1117VwcFL2bTNZthBN66GUvMNDCqWUEDV9f6xUSFo:1xXPx0:onl2cJy57RL3hf0uG8w3aS74W5PUPnd0z3mlpx7SfM4','2100-01-01 00:00:00'),
('wzezqx3awmf7ez4341qjn4b39lj1p2wx','.eJyFUMFuwyAM_ReuWzJCIAFu2zfsNk2RAUdBS5MqkGpT1X8fpKm27rJ3sPCz37PNmYTZehjB2nmdYhciRAxEny-P5MadcPG9R9fhAfxI9LSO408V1jjgFL2F6OepO2AcZpcc3s7k-ib6fgZJ2kh01SqhaMU4Lyul2kY9kuMyn7zDJSmS4wKpc_VZX-0oWELB67ouJOe8EL_wRHcUW-A5yFt6BThyef9v824N2wZNmr61bES37fGHM2A_cMoFGMdMl7t1ufXs5VA-3w162VV3VgOEIR8qpcDeNq6vFetVBdzI3tRgGusEa6BF10pmha2FEqZFyYwBwylXVjiUMpsGDCHfg59Hv3wlU0ZZU-TPU69UadZqxktWKcnpA6WaUnL5BkLio7A:1xXPx6:Q0AFT7rKqiaz46aZDigMEhQqgkD4Jg0VDSA3jSkHp9w','2100-01-01 00:00:00');
INSERT INTO "socialaccount_socialaccount" VALUES
(1,'entra','11111111-2222-4333-8444-555555555555/00000000-0000-4000-8000-0000000000ad','2026-11-28 21:27:24.187959','2026-11-28 21:27:24.188006',6,'{"tid": "11111111-2222-4333-8444-555555555555", "oid": "00000000-0000-4000-8000-0000000000ad", "name": "Ada Lovelace", "preferred_username": "ada@example.org", "roles": []}');
CREATE UNIQUE INDEX "django_content_type_app_label_model_76bd3d3b_uniq" ON "django_content_type" ("app_label", "model");
CREATE UNIQUE INDEX "auth_group_permissions_group_id_permission_id_0cd325b0_uniq" ON "auth_group_permissions" ("group_id", "permission_id");
CREATE INDEX "auth_group_permissions_group_id_b120cbf9" ON "auth_group_permissions" ("group_id");
CREATE INDEX "auth_group_permissions_permission_id_84c5c92e" ON "auth_group_permissions" ("permission_id");
CREATE UNIQUE INDEX "auth_permission_content_type_id_codename_01ab375a_uniq" ON "auth_permission" ("content_type_id", "codename");
CREATE INDEX "auth_permission_content_type_id_2f476e4b" ON "auth_permission" ("content_type_id");
CREATE INDEX "message_in_order" ON "conversations_message" ("conversation_id", "id");
CREATE INDEX "conversation_newest_first" ON "conversations_conversation" ("owner_id", "updated_at" DESC, "id" DESC);
CREATE UNIQUE INDEX "conversations_user_groups_user_id_group_id_63b38ef2_uniq" ON "conversations_user_groups" ("user_id", "group_id");
CREATE INDEX "conversations_user_groups_user_id_82b154b1" ON "conversations_user_groups" ("user_id");
CREATE INDEX "conversations_user_groups_group_id_f848ba85" ON "conversations_user_groups" ("group_id");
CREATE UNIQUE INDEX "conversations_user_user_permissions_user_id_permission_id_8ebc26bb_uniq" ON "conversations_user_user_permissions" ("user_id", "permission_id");
CREATE INDEX "conversations_user_user_permissions_user_id_68bc4fc0" ON "conversations_user_user_permissions" ("user_id");
CREATE INDEX "conversations_user_user_permissions_permission_id_5820b29c" ON "conversations_user_user_permissions" ("permission_id");
CREATE INDEX "conversations_conversation_owner_id_67c5670c" ON "conversations_conversation" ("owner_id");
CREATE INDEX "conversations_message_conversation_id_f1a2d5e9" ON "conversations_message" ("conversation_id");
CREATE INDEX "conversations_message_parent_id_ad2a058b" ON "conversations_message" ("parent_id");
CREATE INDEX "conversations_conversation_leaf_id_fbfc5f3d" ON "conversations_conversation" ("leaf_id");
CREATE INDEX "conversations_chunk_generation_id_7a0360b4" ON "conversations_chunk" ("generation_id");
CREATE INDEX "account_emailconfirmation_email_address_id_5b7f8c58" ON "account_emailconfirmation" ("email_address_id");
CREATE UNIQUE INDEX "account_emailaddress_user_id_email_987c8728_uniq" ON "account_emailaddress" ("user_id", "email");
CREATE UNIQUE INDEX "unique_verified_email" ON "account_emailaddress" ("email") WHERE "verified";
CREATE INDEX "account_emailaddress_user_id_2c513194" ON "account_emailaddress" ("user_id");
CREATE INDEX "account_emailaddress_email_03be32b2" ON "account_emailaddress" ("email");
CREATE UNIQUE INDEX "unique_primary_email" ON "account_emailaddress" ("user_id", "primary") WHERE "primary";
CREATE INDEX "django_admin_log_content_type_id_c4bce8eb" ON "django_admin_log" ("content_type_id");
CREATE INDEX "django_admin_log_user_id_c564eba6" ON "django_admin_log" ("user_id");
CREATE INDEX "cache_expires" ON "cache" ("expires");
CREATE UNIQUE INDEX "one_running_in_a_conversation" ON "conversations_generation" ("conversation_id") WHERE "status" IN ('thinking', 'answering');
CREATE UNIQUE INDEX "one_running_in_a_slot" ON "conversations_generation" ("owner_id", "slot") WHERE "status" IN ('thinking', 'answering');
CREATE INDEX "conversations_generation_conversation_id_1c333132" ON "conversations_generation" ("conversation_id");
CREATE INDEX "conversations_generation_owner_id_c77b33f7" ON "conversations_generation" ("owner_id");
CREATE INDEX "conversations_generation_context_start_id_36c9d3a7" ON "conversations_generation" ("context_start_id");
CREATE INDEX "conversations_generation_message_id_d1e7ec33" ON "conversations_generation" ("message_id");
CREATE INDEX "conversations_generation_worker_id_fdf2e553" ON "conversations_generation" ("worker_id");
CREATE INDEX "generation_live" ON "conversations_generation" ("status") WHERE "status" IN ('queued', 'thinking', 'answering');
CREATE UNIQUE INDEX "conversations_user_review_groups_user_id_group_id_b183832e_uniq" ON "conversations_user_review_groups" ("user_id", "group_id");
CREATE INDEX "conversations_user_review_groups_user_id_0109623c" ON "conversations_user_review_groups" ("user_id");
CREATE INDEX "conversations_user_review_groups_group_id_65fc5168" ON "conversations_user_review_groups" ("group_id");
CREATE TRIGGER audit_refuses_update before update on conversations_auditentry
begin select raise(abort, 'the audit trail is append-only: UPDATE refused'); end;
CREATE TRIGGER audit_grows_at_its_end before insert on conversations_auditentry
when exists (select 1 from conversations_auditentry where number >= new.number)
begin select raise(abort, 'the audit trail is append-only: a row follows the last one'); end;
CREATE INDEX "audit_told" ON "conversations_auditentry" ("owner_id", "number" DESC);
CREATE INDEX "audit_conversation" ON "conversations_auditentry" ("conversation_id", "number" DESC);
CREATE UNIQUE INDEX "one_open_case_for_a_reviewer" ON "conversations_case" ("reviewer_id") WHERE "ended_at" IS NULL;
CREATE INDEX "conversations_case_reviewer_id_1057ed3a" ON "conversations_case" ("reviewer_id");
CREATE INDEX "conversations_case_hold_approved_by_id_3d2cca04" ON "conversations_case" ("hold_approved_by_id");
CREATE INDEX "generation_finished" ON "conversations_generation" ("finished_at");
CREATE INDEX "conversations_item_conversation_id_de983b46" ON "conversations_item" ("conversation_id");
CREATE INDEX "conversations_item_message_id_03d4b418" ON "conversations_item" ("message_id");
CREATE INDEX "conversations_item_resolved_by_id_ce42d4d1" ON "conversations_item" ("resolved_by_id");
CREATE INDEX "conversations_item_taken_by_id_1946adf9" ON "conversations_item" ("taken_by_id");
CREATE INDEX "conversations_item_rule_id_3b055e2e" ON "conversations_item" ("rule_id");
CREATE INDEX "item_unresolved" ON "conversations_item" ("id") WHERE "resolved_at" IS NULL;
CREATE UNIQUE INDEX "one_open_report_of_a_message" ON "conversations_item" ("message_id") WHERE ("resolved_at" IS NULL AND "rule_id" IS NULL);
CREATE INDEX "conversation_newest_of_all" ON "conversations_conversation" ("updated_at" DESC, "id" DESC);
CREATE TRIGGER search_learns after insert on conversations_message
begin
    insert into conversations_message_search (rowid, content, reasoning) values (new.id, new.content, new.reasoning);
end;
CREATE TRIGGER search_forgets after delete on conversations_message
begin
    insert into conversations_message_search (conversations_message_search, rowid, content, reasoning)
    values ('delete', old.id, old.content, old.reasoning);
end;
CREATE TRIGGER search_changes after update of content, reasoning on conversations_message
begin
    insert into conversations_message_search (conversations_message_search, rowid, content, reasoning)
    values ('delete', old.id, old.content, old.reasoning);
    insert into conversations_message_search (rowid, content, reasoning) values (new.id, new.content, new.reasoning);
end;
CREATE INDEX "conversations_legalhold_conversation_id_fb50d394" ON "conversations_legalhold" ("conversation_id");
CREATE INDEX "conversations_legalhold_user_id_23123fdf" ON "conversations_legalhold" ("user_id");
CREATE INDEX "conversations_feedback_conversation_id_9530ab55" ON "conversations_feedback" ("conversation_id");
CREATE INDEX "django_session_expire_date_a5c62663" ON "django_session" ("expire_date");
CREATE UNIQUE INDEX "socialaccount_socialtoken_app_id_account_id_fca4e0ac_uniq" ON "socialaccount_socialtoken" ("app_id", "account_id");
CREATE INDEX "socialaccount_socialtoken_account_id_951f210e" ON "socialaccount_socialtoken" ("account_id");
CREATE INDEX "socialaccount_socialtoken_app_id_636a42d7" ON "socialaccount_socialtoken" ("app_id");
CREATE UNIQUE INDEX "socialaccount_socialaccount_provider_uid_fc810c6e_uniq" ON "socialaccount_socialaccount" ("provider", "uid");
CREATE INDEX "socialaccount_socialaccount_user_id_8146e70c" ON "socialaccount_socialaccount" ("user_id");
CREATE TRIGGER audit_refuses_delete before delete on conversations_auditentry
begin select raise(abort, 'the audit trail is append-only: DELETE refused'); end;
INSERT INTO conversations_message_search (conversations_message_search) VALUES ('rebuild');
