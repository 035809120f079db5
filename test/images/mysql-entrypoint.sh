#!/bin/sh
# Entrypoint of the test image mysql:5.7: what the official image does, as far as the tests use it.
set -eu
case ${1:-} in
  '' | -*) set -- mysqld "$@" ;;
esac
[ "$1" = mysqld ] || exec "$@"
shift
mkdir -p /run/mysqld /logs
chown mysql:mysql /run/mysqld /logs /var/lib/mysql
if [ ! -d /var/lib/mysql/mysql ]; then
  if [ -z "${MYSQL_ROOT_PASSWORD:-}" ]; then
    echo 'Database is uninitialized and password option is not specified: set MYSQL_ROOT_PASSWORD' >&2
    exit 1
  fi
  echo 'Initializing database files'
  mariadb-install-db --user=mysql --datadir=/var/lib/mysql --skip-test-db \
    --auth-root-authentication-method=normal "$@" >/dev/null
  mariadbd --user=mysql --bootstrap "$@" <<SQL
FLUSH PRIVILEGES;
ALTER USER root@localhost IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';
CREATE USER root@'%' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';
GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;
SQL
fi
# As in the official image: no name service is asked about a client.
exec mariadbd --user=mysql --bind-address=0.0.0.0 --skip-name-resolve "$@"
