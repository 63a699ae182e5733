# The gateway without its development rack. Build: docker build -t rack-gateway .

FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /build
# aws-lc and SQLite are compiled from the C that their crates ship.
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends g++ make \
 && rm -rf /var/lib/apt/lists/*
COPY Cargo.toml Cargo.lock ./
COPY askama.toml ./
COPY src src
COPY web web
COPY migrations migrations
COPY policies policies
COPY schema schema
# The workspace names these members; only their manifests and libraries are needed.
COPY tests/Cargo.toml tests/Cargo.toml
COPY tests/src tests/src
COPY benches/Cargo.toml benches/Cargo.toml
COPY benches/src benches/src
RUN cargo build --release --locked --no-default-features --features server --bin rack-gateway-api

FROM debian:bookworm-slim
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /build/target/release/rack-gateway-api /usr/local/bin/rack-gateway-api
# The default bundle, to start a policy folder from; it is compiled in as well.
COPY policies /usr/share/rack-gateway/policies
COPY schema /usr/share/rack-gateway/schema
# Everything that is written is below /data, so the root can be read-only.
WORKDIR /data
VOLUME /data
USER 10001:10001
ENV RGW_LISTEN=0.0.0.0:8447
EXPOSE 8447
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["rack-gateway-api", "health"]
ENTRYPOINT ["rack-gateway-api"]
CMD ["serve"]
