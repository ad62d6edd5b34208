"""seed_isolation.py: the documents that the isolation specs read, into database isolation of MT_URI.

Specs cannot write to MongoDB.  They begin at 'oldest' and read what stands
here: three inserts into isolation.items, then a transaction of two more.
"""

import os

import pymongo

with pymongo.MongoClient(os.environ["MT_URI"]) as client:
    client.drop_database("isolation")
    items = client.isolation.create_collection("items")
    for i in (1, 2, 3):
        items.insert_one({"_id": i})
    with client.start_session() as session, session.start_transaction():
        for i in (4, 5):
            items.insert_one({"_id": i}, session=session)
