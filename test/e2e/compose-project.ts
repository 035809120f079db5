/** The project of compose.test.ts, as its user writes it. */
export const DATABASE = '10.123.45.10';
export const DATABASE_GATEWAY = '10.123.45.1';
export const WEB = '10.123.46.20';

/**
 * The database listens after a second only; web keeps what it read from it at its own start, and answers on three
 * ports. Only web is on both networks. Pages are fetched with nc: Debian's static busybox looks up a service's port
 * for wget in libraries that its image does not have, and crashes.
 */
export const PROJECT = String.raw`
name: shop
services:
  web:
    image: busybox
    hostname: web
    depends_on:
      database: { condition: service_healthy }
    command:
      - sh
      - -c
      - |
        mkdir -p /www && cd /www
        printf 'GET /row HTTP/1.0\r\n\r\n' | nc -w 2 db 5432 | tail -n 1 >first
        [ -s first ] || echo 'too early' >first
        for port in 8080 8081 8082; do
          mkdir -p $$port && echo "web $$port" >$$port/index.html && cp first $$port/
          httpd -f -v -p $$port -h $$port &
        done
        wait
    ports: ['8080-8082:8080-8082']
    stop_grace_period: 0s
    networks:
      front: { ipv4_address: ${WEB}, aliases: [shop.example.test] }
      back: { aliases: [frontend] }
  database:
    image: busybox
    command:
      - sh
      - -c
      - |
        echo starting
        sleep 1
        [ -e /data/row ] || echo 'a gangway' >/data/row
        echo ready
        exec httpd -f -p 5432 -h /data
    healthcheck:
      test: printf 'GET /row HTTP/1.0\r\n\r\n' | nc -w 2 127.0.0.1 5432 | grep -q gangway
      interval: 200ms
      timeout: 2s
      retries: 50
    stop_grace_period: 0s
    volumes: ['data:/data']
    networks:
      back: { ipv4_address: ${DATABASE}, aliases: [db] }
  worker:
    image: busybox
    command: sh -c 'mkdir -p /www && hostname >/www/index.html && exec httpd -f -p 80 -h /www'
    stop_grace_period: 0s
    networks: [back]
  sidecar:
    image: busybox
    command: sleep 1000
    network_mode: service:web
    stop_grace_period: 0s
networks:
  front:
    ipam: { config: [{ subnet: 10.123.46.0/24 }] }
  back:
    internal: true
    ipam: { config: [{ subnet: 10.123.45.0/24, gateway: ${DATABASE_GATEWAY} }] }
volumes:
  data: {}
`;
