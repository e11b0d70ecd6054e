"""The storage of files on real servers: a folder, S3 (moto) and Azure Blob Storage (Azurite), on loopback."""
