# The app in a container: `docker build --tag se_viz .`, then `docker run --rm --publish 8501:8501 se_viz`.
# For a GPU: `docker build --build-arg TORCH_BACKEND=cu130 --tag se_viz .`, then add `--gpus all` to the run; the host needs
# a driver for that CUDA release and NVIDIA's container toolkit.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
# What PyTorch is built for, as `uv pip install --torch-backend` names it: cpu, cu126, cu130, … Without this choice, Linux
# would get a build with CUDA, which is several gigabytes larger. uv knows where PyTorch keeps each of them.
ARG TORCH_BACKEND=cpu
ENV UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1 VIRTUAL_ENV=/opt/se_viz
RUN pip install --no-cache-dir uv==0.13.9 && uv venv /opt/se_viz
WORKDIR /source
# First what seldom changes: with new code, PyTorch need not be installed again.
COPY requirements.txt ./
RUN uv pip install --torch-backend "${TORCH_BACKEND}" --requirement requirements.txt
COPY . .
RUN uv pip install --torch-backend "${TORCH_BACKEND}" --constraint requirements.txt ".[zoo]"

FROM python:${PYTHON}-slim
# Its cache folder is there before a volume is mounted on it, so that it is the user's own.
RUN useradd --uid 1000 --create-home viewer && install --directory --owner 1000 --group 1000 /home/viewer/.cache
COPY --from=build /opt/se_viz /opt/se_viz
ENV PATH="/opt/se_viz/bin:${PATH}"
USER 1000
WORKDIR /home/viewer
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["python", "-c", "\
from http.client import HTTPConnection; \
server = HTTPConnection('localhost', 8501, timeout=5); \
server.request('GET', '/_stcore/health'); \
raise SystemExit(server.getresponse().status != 200)"]
ENTRYPOINT ["se_viz"]
# With an address to print, Streamlit asks no service outside for that of the machine.
CMD ["app", "--port", "8501", "--server.headless", "true", "--browser.serverAddress", "localhost"]
