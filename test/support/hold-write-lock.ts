/**
 * A process that holds the write lock of a SQLite file, as a backup or a forgotten shell does,
 * until its standard input ends.
 *
 *     node hold-write-lock.ts FILE
 */
import { writeSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

const [, , path = ''] = process.argv
const database = new DatabaseSync(path)
database.exec('BEGIN IMMEDIATE')
writeSync(1, 'locked\n')
process.stdin.resume().once('end', () => {
  database.exec('ROLLBACK')
  database.close()
})
