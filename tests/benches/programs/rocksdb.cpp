// Opens a database, fills it, compacts it and reads it back.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <rocksdb/db.h>

int main() {
    std::string directory = "rocksdb-files";
    rocksdb::Options options;
    options.create_if_missing = true;
    rocksdb::DestroyDB(directory, options);
    rocksdb::DB *database = nullptr;
    if (!rocksdb::DB::Open(options, directory, &database).ok()) return 1;
    for (int i = 0; i < 100; i++)
        database->Put(rocksdb::WriteOptions(), "key" + std::to_string(i), std::to_string(i * i));
    database->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr);
    std::string value;
    bool found = database->Get(rocksdb::ReadOptions(), "key12", &value).ok();
    std::printf("%s\n", value.c_str());
    delete database;
    rocksdb::DestroyDB(directory, options);
    return !found || value != "144";
}
